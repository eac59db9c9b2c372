"""The images as they were built."""
