"""What runs: each service composes ports and has one life cycle: start (returns when ready), run, stop (drains)."""
