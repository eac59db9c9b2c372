"""The world outside: each folder implements a port for one technology, and alone imports it."""
