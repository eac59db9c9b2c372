"""What twins must be, from the rows of the history: sums of each device's metrics, not the rows themselves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from tests.harness.ledger import Entry, Value


class Sum:
    """All rows of a metric. ``min``, ``max`` and ``avg`` are of the numbers; None where there are none, as of bools."""

    def __init__(self) -> None:
        self.count = 0
        self.min: float | None = None
        self.max: float | None = None
        self.ts = -1
        """The newest time."""
        self.last: list[Value] = []
        """Its values: of several devices there may be several."""
        self._total = 0.0
        self._numbers = 0

    def add(self, ts: int, value: Value) -> None:
        """One row more."""
        self.count += 1
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._numbers += 1
            self._total += value
            self.min = value if self.min is None else min(self.min, value)
            self.max = value if self.max is None else max(self.max, value)
        self._offer(ts, [value])

    def join(self, other: Sum) -> None:
        """All rows of another device too."""
        self.count += other.count
        self._numbers += other._numbers
        self._total += other._total
        self.min = min((one.min for one in (self, other) if one.min is not None), default=None)
        self.max = max((one.max for one in (self, other) if one.max is not None), default=None)
        self._offer(other.ts, other.last)

    @property
    def avg(self) -> float | None:
        """Of the numbers."""
        return self._total / self._numbers if self._numbers else None

    def _offer(self, ts: int, values: list[Value]) -> None:
        if ts > self.ts:
            self.ts, self.last = ts, list(values)
        elif ts == self.ts:
            self.last += values


class Rows:
    """Sums by device and metric."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, Sum]] = defaultdict(lambda: defaultdict(Sum))

    def counting(self, history: Iterable[Entry]) -> Iterator[Entry]:
        """Every row, once it is counted."""
        for row in history:
            self._sums[row.device][row.metric].add(row.ts, row.value)
            yield row

    def of_device(self, device: str) -> dict[str, Sum]:
        """By metric."""
        return dict(self._sums.get(device, {}))

    def of_devices(self, devices: Collection[str]) -> dict[str, Sum]:
        """Of all of them together, by metric."""
        joined: dict[str, Sum] = defaultdict(Sum)
        for device in devices:
            for metric, one in self.of_device(device).items():
                joined[metric].join(one)
        return dict(joined)


def same(one: float | None, other: float | None) -> bool:
    """Equal but for the order in which a sum was made."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
