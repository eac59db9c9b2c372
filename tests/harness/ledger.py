"""The ledger: what was sent, what was acknowledged, and what the system says it has."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Value = float | int | bool | str


class Entry(NamedTuple):
    """One reading; ``ts`` in milliseconds since 1970."""

    device: str
    metric: str
    ts: int
    value: Value


class Findings(NamedTuple):
    """How history and ledger differ; all empty when the contracts hold."""

    lost: set[Entry]
    doubled: list[Entry]
    never_sent: set[Entry]

    def __str__(self) -> str:
        return (
            f"{len(self.lost)} lost {sorted(self.lost)[:3]}, {len(self.doubled)} doubled {self.doubled[:3]}, "
            f"{len(self.never_sent)} never sent {sorted(self.never_sent)[:3]}"
        )

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.never_sent)


class Ledger:
    """Thread-safe: senders of several protocols write into one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent: set[Entry] = set()
        self.acknowledged: set[Entry] = set()

    def send(self, entries: Iterable[Entry]) -> None:
        """Write down before sending."""
        with self._lock:
            self.sent.update(entries)

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """Write down after the PUBACK or the 2xx."""
        with self._lock:
            self.acknowledged.update(entries)

    def devices(self) -> list[str]:
        """All devices with entries."""
        with self._lock:
            return sorted({entry.device for entry in self.sent})

    def compare(self, history: Iterator[Entry]) -> Findings:
        """Hold ``history`` (all rows of all devices) against the ledger."""
        seen: set[Entry] = set()
        doubled: list[Entry] = []
        for entry in history:
            if entry in seen:
                doubled.append(entry)
            seen.add(entry)
        with self._lock:
            return Findings(self.acknowledged - seen, doubled, seen - self.sent)
