"""Messages between actors and events become numbered frames in the outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from iot_system.actors.routing import recipient
from iot_system.domain.events import EVENTS, Event, encode_events
from iot_system.domain.frames import ActorFrame, ActorMessage, RoomReadings, encode_frame

ACTOR_FRAME_BYTES = 4 * 1024 * 1024
"""A frame from actors stays below this, half of what the broker takes: rooms' names may outweigh the readings."""


class Numbering:
    """Numbers what leaves partition ``source``, per target, from 1 without gaps; ``sent`` are the last ones."""

    def __init__(self, source: int, sent: dict[int, int], partition_of: Callable[[str], int]) -> None:
        self._source = source
        self._sent = sent
        self._partition_of = partition_of

    def last(self, target: int) -> int:
        """The number of what left last; 0: nothing has."""
        return self._sent.get(target, 0)

    def next(self, target: int) -> int:
        """Number one more, which leaves at once."""
        self._sent[target] = number = self.last(target) + 1
        return number

    def by_target(self, messages: Sequence[ActorMessage]) -> dict[int, list[ActorMessage]]:
        """Each partition's, in their order."""
        found: dict[int, list[ActorMessage]] = {}
        for message in messages:
            found.setdefault(self._partition_of(recipient(message).id), []).append(message)
        return found

    def frames(self, messages: Sequence[ActorMessage], events: Sequence[Event]) -> list[tuple[int, int, bytes]]:
        """``(target, number, data)``: a frame per target, or several where it would be too large."""
        found: list[tuple[int, int, bytes]] = []
        for target, part in self.by_target(messages).items():
            self._add(target, part, found)
        if events:
            self._add_events(list(events), found)
        return found

    def _add(self, target: int, messages: list[ActorMessage], found: list[tuple[int, int, bytes]]) -> None:
        number = self.last(target) + 1
        data = encode_frame(ActorFrame(self._source, number, messages))
        if len(data) > ACTOR_FRAME_BYTES and (halves := _halves(messages)):
            for half in halves:
                self._add(target, half, found)
            return
        self._sent[target] = number
        found.append((target, number, data))

    def _add_events(self, events: list[Event], found: list[tuple[int, int, bytes]]) -> None:
        data = encode_events(events)
        if len(data) > ACTOR_FRAME_BYTES and len(events) > 1:
            middle = len(events) // 2
            self._add_events(events[:middle], found)
            self._add_events(events[middle:], found)
            return
        found.append((EVENTS, self.next(EVENTS), data))


def _halves(messages: list[ActorMessage]) -> list[list[ActorMessage]]:
    """The same in two parts, in its order; none where there is but one message that cannot be parted."""
    if middle := len(messages) // 2:
        return [messages[:middle], messages[middle:]]
    only = messages[0]
    if not isinstance(only, RoomReadings) or len(only.readings) < 2:
        return []
    middle = len(only.readings) // 2
    return [[RoomReadings(only.room, part)] for part in (only.readings[:middle], only.readings[middle:])]
