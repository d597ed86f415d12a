"""The public JSON: request schemas, reply shapes and the translation of domain records. A file per subject."""
