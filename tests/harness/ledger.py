"""The ledger: what was sent and what was acknowledged, by device. `tests.harness.checker` holds all else against it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from tests.harness.findings import Findings

Value = float | int | bool | str
Key: TypeAlias = tuple[str, int]
"""Metric and timestamp: with its device, what makes a reading known again."""


class Entry(NamedTuple):
    """One reading; ``ts`` in milliseconds since 1970."""

    device: str
    metric: str
    ts: int
    value: Value


class Message(NamedTuple):
    """When readings of one moment were sent, and when that was acknowledged (None: never), by the monotonic clock."""

    ts: int
    sent_s: float
    acknowledged_s: float | None


class Account(NamedTuple):
    """Of one device. ``messages`` are in the order in which they were sent; there are none where nobody noted times."""

    sent: Mapping[Key, Value]
    acknowledged: Set[Key]
    messages: Sequence[Message] = ()


class Accounts(ABC):
    """Whatever keeps a ledger."""

    @abstractmethod
    def devices(self) -> Sequence[str]:
        """All that have sent, sorted."""

    @abstractmethod
    def account(self, device: str) -> Account:
        """All of a device; empty where it is not known."""

    @abstractmethod
    def count_acknowledged(self) -> int:
        """Readings of all devices."""

    def compare(self, history: Iterable[Entry], findings: Findings | None = None) -> Findings:
        """Hold ``history`` against the ledger: all rows of all devices, those of one device together.

        Adds what is lost, doubled, never sent and wrong to ``findings``. One device at a time is in memory.
        """
        findings = Findings() if findings is None else findings
        without_rows = set(self.devices())
        for device, rows in groupby(history, attrgetter("device")):
            without_rows.discard(device)
            _compare(device, self.account(device), rows, findings)
        for device in sorted(without_rows):
            _compare(device, self.account(device), (), findings)
        return findings


class Ledger(Accounts):
    """In memory. Thread-safe: senders of several protocols write into one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[str, dict[Key, Value]] = defaultdict(dict)
        self._acknowledged: dict[str, set[Key]] = defaultdict(set)

    def send(self, entries: Iterable[Entry]) -> None:
        """Write down before sending."""
        with self._lock:
            for device, metric, ts, value in entries:
                self._sent[device][metric, ts] = value

    def acknowledge(self, entries: Iterable[Entry]) -> None:
        """Write down after the PUBACK or the 2xx."""
        with self._lock:
            for device, metric, ts, _ in entries:
                self._acknowledged[device].add((metric, ts))

    def devices(self) -> list[str]:
        """See `Accounts.devices`."""
        with self._lock:
            return sorted(self._sent)

    def account(self, device: str) -> Account:
        """See `Accounts.account`."""
        with self._lock:
            return Account(dict(self._sent.get(device, {})), set(self._acknowledged.get(device, ())))

    def count_acknowledged(self) -> int:
        """See `Accounts.count_acknowledged`."""
        with self._lock:
            return sum(map(len, self._acknowledged.values()))


def _compare(device: str, account: Account, rows: Iterable[Entry], findings: Findings) -> None:
    sent, seen = account.sent, set[Key]()
    for row in rows:
        key = row.metric, row.ts
        if key in seen:
            findings.doubled.note(row)
        elif key not in sent:
            findings.never_sent.note(row)
        elif sent[key] != row.value:
            findings.wrong.note(f"{row} was sent as {sent[key]!r}")
        seen.add(key)
    for metric, ts in sorted(account.acknowledged - seen):
        findings.lost.note(Entry(device, metric, ts, sent[metric, ts]))
