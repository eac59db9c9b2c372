"""Clients that cost little themselves, each in a process of its own."""
