"""Time, injected, so that tests can turn the clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for messages, monotonic time for durations."""

    def now_us(self) -> int:
        """Microseconds since 1970 (UTC), never the same twice and never smaller than before in one process."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment; only differences mean something."""
        ...


class SystemClock:
    """The machine's clock; `now_us` counts on by one where the machine's resolution or a step back repeats."""

    def __init__(self) -> None:
        self._last_us = 0

    def now_us(self) -> int:
        self._last_us = max(time.time_ns() // 1000, self._last_us + 1)
        return self._last_us

    def monotonic_s(self) -> float:
        return time.monotonic()
