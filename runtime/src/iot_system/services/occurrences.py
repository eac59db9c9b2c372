"""What the messages of the two streams of events tell, one by one."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from iot_system.domain.events import Event, NewReadings
from iot_system.ports.events import Occurrence, Position
from iot_system.services.tail import Stretch

Part: TypeAlias = Literal["events", "readings"]


def occurrences(stretch: Stretch[Any], before: Position, after: Position) -> list[Occurrence]:
    """All of one message; only the last is at ``after``, so that who resumes in between misses none."""
    if not stretch.items:
        return []
    size = stretch.bytes // len(stretch.items)
    last = len(stretch.items) - 1
    return [told(one, after if number == last else before, size) for number, one in enumerate(stretch.items)]


def told(one: Event | NewReadings, position: Position, size: int) -> Occurrence:
    """One of them, as it is told."""
    if isinstance(one, NewReadings):
        return Occurrence(position, "reading", one.time_us, one.device, one.room, one.values, size)
    return Occurrence(position, one.kind, one.time_us, one.device, one.room, one.data, size)
