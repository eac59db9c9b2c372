"""Devices in a process of their own, and the ledger that it writes."""
