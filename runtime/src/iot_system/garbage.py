"""Python's collector of cyclic garbage, set for a process that holds much and makes many short-lived objects."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 50)
"""New objects before the youngest generation is looked at (Python's own 700 would be once for a hundred messages), and
how many times that before each older one is."""


def collect_seldom() -> None:
    """To be called when everything is loaded, which is never looked at again.

    Messages hold no cycles, so reference counting frees them; looking for cycles among them took 15 % of a busy
    gateway's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
