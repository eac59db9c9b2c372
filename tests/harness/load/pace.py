"""How often a device speaks: what was missed is not made up for, or a load would be a burst after each fault."""

from __future__ import annotations

MOST_AT_ONCE_S = 2.0
"""So much of a pause is made up for: a loop or an answer that came late must not slow the devices."""


class Pace:
    """``a_second`` times."""

    def __init__(self, a_second: float, now_s: float) -> None:
        self._a_second = a_second
        self._since_s = now_s

    def due(self, now_s: float) -> int:
        """How many messages may go out now; those are counted as sent."""
        self._since_s = max(self._since_s, now_s - MOST_AT_ONCE_S)
        count = int((now_s - self._since_s) * self._a_second)
        self._since_s += count / self._a_second
        return count
