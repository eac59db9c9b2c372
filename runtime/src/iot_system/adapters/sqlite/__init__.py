"""The store in SQLite: a file for the edge, memory for development."""
