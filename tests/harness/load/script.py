"""What devices say: rows of the shipped sample, so that a device and a number are enough to know a message again."""

from __future__ import annotations

import random
from functools import cache

import msgspec
from iot_system.commands.occupancy import read_sample, shipped_sample

from tests.harness.ledger import Value

BOOT = b"first"
METRICS = 6
"""Of a message: all that the sample has."""


class Script(msgspec.Struct, frozen=True):
    """Message ``number`` (from 1 on) of a device is of ``begin_ms`` (since 1970) and so many times ``step_ms`` later.

    Each bears one row of the sample, all its six metrics; with which row a device begins follows from ``seed``.
    """

    seed: int
    begin_ms: int
    step_ms: int

    def first_row(self, device: str) -> int:
        """Where a device is in the sample before its first message."""
        return random.Random(f"{self.seed} {device}").randrange(len(rows()))

    def ts(self, number: int) -> int:
        """Milliseconds since 1970."""
        return self.begin_ms + number * self.step_ms


@cache
def rows() -> tuple[dict[str, Value], ...]:
    """The rows of the sample: metric → value, of all its devices together."""
    found: list[dict[str, Value]] = []
    for row in read_sample(shipped_sample()).rows:
        values: dict[str, Value] = {}
        for message in row.messages.values():
            values |= message.values  # type: ignore[arg-type]  # numbers and bools, no JSON
        found.append(values)
    return tuple(found)


@cache
def rows_as_json() -> tuple[bytes, ...]:
    """The same, encoded."""
    return tuple(map(msgspec.json.encode, rows()))
