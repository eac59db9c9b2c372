"""The chart in a real cluster."""
