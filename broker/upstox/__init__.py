"""Upstox: its master file is read; the rest of the adapter is not built yet."""
