"""Storage. One module a subject; functions take a connection and return domain records."""
