"""The messages of a round: the shipped occupancy sample, told by many devices at once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import msgspec

from tests.harness.load.script import METRICS, rows

STEP_MS = 100
"""Between two messages of a device, by their timestamps; they are sent as fast as they are taken."""
DEVICES = 100
DEVICES_PER_ROOM = 5
_OFFSET = 79
"""Rows between the beginnings of two devices, so that no two of them say the same."""


class Workload(msgspec.Struct, frozen=True):
    """``steps`` messages of each device, the first of them at ``start_ms`` (milliseconds since 1970).

    Each bears the first ``metrics`` of what a row of the sample has.
    """

    steps: int
    start_ms: int
    devices: int = DEVICES
    metrics: int = METRICS

    @property
    def messages(self) -> int:
        """Of all devices."""
        return self.steps * self.devices

    @property
    def readings(self) -> int:
        """Of all devices: what becomes rows."""
        return self.messages * self.metrics

    @property
    def end_ms(self) -> int:
        """Where the next workload may begin."""
        return self.start_ms + self.steps * STEP_MS

    def payloads(self, number: int) -> Iterator[bytes]:
        """What device ``number`` says, in its order, as JSON."""
        encoded = _rows(self.metrics)
        for step in range(self.steps):
            values = encoded[(step + number * _OFFSET) % len(encoded)]
            yield b'{"ts":%d,"values":%s}' % (self.start_ms + step * STEP_MS, values)


def device(number: int) -> str:
    """The id of a device, from 0."""
    return f"bench-{number:03}"


def room(number: int) -> str:
    """The room of device ``number``."""
    return f"bench-room-{number // DEVICES_PER_ROOM:02}"


@cache
def _rows(metrics: int) -> tuple[bytes, ...]:
    """The first metrics of each row of the sample as one JSON object."""
    return tuple(msgspec.json.encode(dict(list(values.items())[:metrics])) for values in rows())
