"""Events as their readers see them: what to listen to, what happened, and where a reader is in the streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from iot_system.domain.access import Principal
from iot_system.domain.events import EventKind
from iot_system.errors import InvalidInput, Unavailable

Kind: TypeAlias = EventKind | Literal["reading"]


class Position(msgspec.Struct, frozen=True, order=True):
    """How far a reader is: the sequence of the last message of each stream that it has got."""

    events: int
    readings: int

    def __str__(self) -> str:
        return f"{self.events}-{self.readings}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read ``<events>-<readings>``. Raises `InvalidInput`."""
        events, dash, readings = text.partition("-")
        if not (dash and len(text) <= 40 and text.isascii() and events.isdigit() and readings.isdigit()):
            raise InvalidInput(f"position {text[:40]!r} is not EVENTS-READINGS, as in 12-7")
        return cls(int(events), int(readings))


class Occurrence(msgspec.Struct, frozen=True, gc=False):
    """Something that happened; for ``reading``, ``data`` is metric → value. ``bytes`` is about what it takes.

    Where one message of a stream told several things, only the last of them has its ``position``: whoever resumes in
    between gets some of them twice, but misses none.
    """

    position: Position
    kind: Kind
    time_us: int
    device: str | None
    room: str | None
    data: dict[str, Any]
    bytes: int


class Gap(msgspec.Struct, frozen=True):
    """Something may be missing behind ``position``; ``reason`` is a sentence."""

    position: Position
    reason: str


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What to listen to; an empty set is everything. ``kinds`` without ``reading`` cost nobody anything."""

    devices: frozenset[str] = frozenset()
    rooms: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()

    @property
    def wants_readings(self) -> bool:
        return not self.kinds or "reading" in self.kinds

    def takes(self, one: Occurrence) -> bool:
        """Whether ``one`` is selected."""
        return (
            (not self.kinds or one.kind in self.kinds)
            and (not self.devices or one.device in self.devices)
            and (not self.rooms or one.room in self.rooms)
        )


class Listening(Protocol):
    """One reader of events: a bounded queue, so that a slow reader costs no memory and harms nobody."""

    @property
    def position(self) -> Position:
        """All that was selected up to here was given by `next`, the last perhaps not with all that is beside it."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come: it was closed, or its reader was too slow, which a `Gap` has told."""
        ...

    async def next(self, *, timeout_s: float) -> Occurrence | Gap | None:
        """What happened next; None after ``timeout_s`` without anything, and at the end.

        Raises `Unavailable` where it cannot be told whether the principal may see it; may be called again.
        """
        ...

    def close(self) -> None:
        """End it; idempotent. What is queued may still be taken."""
        ...

    async def leave(self) -> None:
        """`close`, and release what was held to catch up."""
        ...


class Events(Protocol):
    """All events of the system, for any number of readers in this process."""

    async def listen(
        self, principal: Principal, selection: Selection, *, after: Position | None = None, soon: bool = False
    ) -> Listening:
        """Listen from now on, or from behind ``after`` as far as it is kept; a `Gap` tells what is not.

        With ``soon``, events of the selected devices come as soon as they are committed, and again with their position.
        Only what the principal may see comes: a device sees itself and the devices that it is the gateway of.

        Raises `Overloaded` where this process has too many readers, `Unavailable` where the streams cannot be read.
        """
        ...


class LogLost(Unavailable):
    """The stream that a position belongs to is gone, or has lost what it held."""


class LogReader(Protocol):
    """Reads one stream of events in order."""

    async def fetch(self, *, wait_s: float) -> list[tuple[int, bytes]]:
        """What follows, ``(sequence, data)`` each, as soon as there is something; nothing after ``wait_s``.

        A sequence that was left out is one that the stream has dropped. Raises `Unavailable`, and may be called again;
        `LogLost` where the stream is another one now.
        """
        ...

    async def close(self) -> None:
        """Leave."""
        ...


class Log(Protocol):
    """One stream of events: a bounded log that drops the oldest."""

    async def end(self) -> int:
        """The sequence of its newest message (0: none yet). Raises `Unavailable`."""
        ...

    async def reaches(self, position: int) -> bool:
        """Whether it has come so far; who tells may be behind others, and is given time. Raises `Unavailable`."""
        ...

    def read(self, after: int) -> LogReader:
        """Read what stands behind ``after``."""
        ...

    async def overhear(self, partition: int, take: Callable[[bytes], None]) -> Callable[[], Awaitable[None]]:
        """Call ``take`` with what comes from ``partition``, as it passes on its way into the stream.

        Some may be missed, and some may never be stored. Returns what ends it. Raises `Unavailable`.
        """
        ...
