"""What the devices of a load have in common: their messages, and what is written down of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from tests.harness.load.log import LogWriter, Stretch
from tests.harness.load.order import Device
from tests.harness.load.pace import Pace
from tests.harness.load.script import Script, rows_as_json


class Sending:
    """One device, at its place in the order; its messages are numbered from 1 on."""

    def __init__(self, place: int, device: Device, script: Script, messages_a_second: float, log: LogWriter) -> None:
        self.device = device
        self.sent = 0
        self.acknowledged = 0
        self._place = place
        self._script = script
        self._first_row = script.first_row(device.id)
        self._rows = rows_as_json()
        self._log = log
        self._pace = Pace(messages_a_second, time.monotonic())

    def begin(self, most: int) -> range:
        """The numbers of messages that may go out now: they are in the ledger once it is flushed."""
        count = min(self._pace.due(time.monotonic()), most)
        numbers = range(self.sent + 1, self.sent + 1 + count)
        if count:
            self._log.note(Stretch(False, self._place, numbers.start, count, time.monotonic_ns()))
            self.sent += count
        return numbers

    def acknowledge(self, numbers: Iterable[int]) -> None:
        """Numbers in their order."""
        now_ns = time.monotonic_ns()
        for stretch in stretches(numbers):
            self._log.note(Stretch(True, self._place, stretch.start, len(stretch), now_ns))
            self.acknowledged += len(stretch)

    def ts_and_values(self, number: int) -> tuple[int, bytes]:
        """Time (milliseconds since 1970) and JSON of the values of a message."""
        return self._script.ts(number), self._rows[(self._first_row + number) % len(self._rows)]


def stretches(numbers: Iterable[int]) -> Iterator[range]:
    """Numbers, of which those that follow one another are together."""
    stretch = range(0)
    for number in numbers:
        if stretch and number == stretch.stop:
            stretch = range(stretch.start, number + 1)
        else:
            if stretch:
                yield stretch
            stretch = range(number, number + 1)
    if stretch:
        yield stretch


def all_acknowledged(devices: Sequence[Sending]) -> bool:
    """Whether nothing is on its way."""
    return all(device.acknowledged == device.sent for device in devices)
