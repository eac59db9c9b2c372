"""When actors of a partition are due: one time each, the earliest first."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from iot_system.domain.addresses import Address, Kind

SLACK = 1_000
"""Replaced times are forgotten when they come up, or once there are this many more than half of all."""


class Schedule:
    """Holds the times of all actors, in memory or not."""

    def __init__(self, times: Mapping[Address, int]) -> None:
        self._times = dict(times)
        self._heap = _heap_of(self._times)

    def get(self, address: Address) -> int | None:
        """When ``address`` is due; None: never."""
        return self._times.get(address)

    def set(self, address: Address, due_us: int | None) -> None:
        """Replace the time of ``address``."""
        if due_us is None:
            self._times.pop(address, None)
        elif self._times.get(address) != due_us:
            self._times[address] = due_us
            heappush(self._heap, (due_us, address.kind, address.id))
            if len(self._heap) > 2 * len(self._times) + SLACK:
                self._heap = _heap_of(self._times)

    def next_us(self) -> int | None:
        """The earliest time of all."""
        self._forget_the_replaced()
        return self._heap[0][0] if self._heap else None

    def due(self, now_us: int, limit: int) -> list[Address]:
        """Up to ``limit`` actors that are due, the longest waiting first; they stay due until `set` says otherwise."""
        found: dict[Address, int] = {}
        while len(found) < limit and (next_us := self.next_us()) is not None and next_us <= now_us:
            due_us, kind, id_ = heappop(self._heap)
            found[Address(kind, id_)] = due_us
        for address, due_us in found.items():
            heappush(self._heap, (due_us, address.kind, address.id))
        return list(found)

    def _forget_the_replaced(self) -> None:
        while self._heap and self._times.get(Address(self._heap[0][1], self._heap[0][2])) != self._heap[0][0]:
            heappop(self._heap)


def _heap_of(times: Mapping[Address, int]) -> list[tuple[int, Kind, str]]:
    return sorted((due_us, address.kind, address.id) for address, due_us in times.items())
