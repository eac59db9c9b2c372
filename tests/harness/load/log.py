"""The ledger of a load, as a file: stretches of messages that were sent or acknowledged, one behind the other.

A stretch has 24 bytes, whatever number of messages it is of. It is written before its first message goes out, so that
nothing can arrive that is not in it. Who reads knows the values from the script.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, Self

from tests.harness.ledger import Account, Accounts, Key, Message, Value
from tests.harness.load.script import METRICS, Script, rows

_STRETCH = struct.Struct("<?xHIIxxxxq")
NEVER = 0


class Stretch(NamedTuple):
    """Messages ``first`` and on of the device at a place, all at one moment of the monotonic clock, in nanoseconds."""

    is_acknowledged: bool
    device: int
    first: int
    messages: int
    at_ns: int


class LogWriter:
    """Appends to a file, for a ``with``."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._waiting: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        self._file.close()

    def note(self, stretch: Stretch) -> None:
        """With the next `flush`."""
        self._waiting.append(_STRETCH.pack(*stretch))

    def flush(self) -> None:
        """Whatever ends this process then, it is in the file."""
        if self._waiting:
            self._file.write(b"".join(self._waiting))
            self._file.flush()
            self._waiting.clear()


class LogReader:
    """Follows a file that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = 0

    def read(self) -> Iterator[Stretch]:
        """What has come since the last time."""
        with self._path.open("rb") as file:
            file.seek(self._begin)
            data = file.read()
        whole = len(data) // _STRETCH.size * _STRETCH.size
        self._begin += whole
        for fields in _STRETCH.iter_unpack(data[:whole]):
            yield Stretch(*fields)


class LoadLedger(Accounts):
    """Two moments of each message are all that it keeps: 16 bytes. ``names``: device at its place."""

    def __init__(self, script: Script, names: Sequence[str]) -> None:
        self._script = script
        self._places = {name: place for place, name in enumerate(names)}
        self._sent_ns = [array("q") for _ in names]
        self._acknowledged_ns = [array("q") for _ in names]

    def note(self, stretch: Stretch) -> None:
        """As the log has it."""
        sent, acknowledged = self._sent_ns[stretch.device], self._acknowledged_ns[stretch.device]
        if stretch.is_acknowledged:
            for index in range(stretch.first - 1, stretch.first - 1 + stretch.messages):
                acknowledged[index] = acknowledged[index] or stretch.at_ns
        else:
            assert stretch.first == len(sent) + 1, f"{stretch} does not follow message {len(sent)}"
            sent.extend(repeat(stretch.at_ns, stretch.messages))
            acknowledged.extend(repeat(NEVER, stretch.messages))

    def devices(self) -> list[str]:
        """See `Accounts.devices`."""
        return sorted(name for name, place in self._places.items() if self._sent_ns[place])

    def account(self, device: str) -> Account:
        """See `Accounts.account`."""
        place = self._places[device]
        first, sample = self._script.first_row(device), rows()
        sent: dict[Key, Value] = {}
        acknowledged = set[Key]()
        messages: list[Message] = []
        times = zip(self._sent_ns[place], self._acknowledged_ns[place], strict=True)
        for number, (sent_ns, acknowledged_ns) in enumerate(times, 1):
            ts, values = self._script.ts(number), sample[(first + number) % len(sample)]
            keys = [(metric, ts) for metric in values]
            sent.update(zip(keys, values.values(), strict=True))
            if acknowledged_ns:
                acknowledged.update(keys)
            messages.append(Message(ts, sent_ns / 1e9, acknowledged_ns / 1e9 if acknowledged_ns else None))
        return Account(sent, acknowledged, messages)

    def count_acknowledged(self) -> int:
        """See `Accounts.count_acknowledged`."""
        return METRICS * sum(len(times) - times.count(NEVER) for times in self._acknowledged_ns)
