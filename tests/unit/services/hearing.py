"""A hub of events over two streams in memory, and what somebody hears there."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from iot_system.domain.access import Principal
from iot_system.domain.events import Event, NewReadings, encode_events
from iot_system.domain.registry import Device
from iot_system.ports.events import Gap, Occurrence, Selection
from iot_system.services.asking import Asking
from iot_system.services.events import Hub
from iot_system.services.listening import HubListening
from iot_system.services.rooms import ActorRooms

from tests.unit.services.answering import PARTITIONS
from tests.unit.services.memory_log import MemoryLog
from tests.unit.services.memory_requests import MemoryRequests, Switchboard

ADMIN = Principal("admin", "admin")
TWINS = Selection(kinds=frozenset({"twin"}))
ALL = Selection()
DEADLINE_S = 60.0


class Served:
    """A hub over two streams in memory."""

    def __init__(self) -> None:
        self.events, self.readings = MemoryLog(), MemoryLog()
        self.board = Switchboard()
        self.devices: dict[str, Device] = {}
        self.heard: list[float] = []
        self.hub = Hub(
            self.events,
            self.readings,
            MemoryRequests(self.board),
            registered=self._registered,
            rooms=ActorRooms(Asking(MemoryRequests(self.board), PARTITIONS)),
            partition_of=lambda _: 0,
        )
        self.board.on_listening.append(lambda: self.heard.append(asyncio.get_running_loop().time()))

    async def _registered(self, id_: str) -> Device | None:
        return self.devices.get(id_)

    def happen(self, *numbers: int, device: str | None = "one", room: str | None = None, kind: Any = "twin") -> None:
        """One message that tells all of ``numbers``."""
        told = [Event(kind=kind, time_us=number, device=device, room=room) for number in numbers]
        self.events.append(encode_events(told))

    def read(self, number: int, device: str = "one") -> None:
        """One new reading."""
        self.readings.append(msgspec.msgpack.encode([NewReadings(device, None, number, {"t": number})]))


async def take(listening: HubListening, count: int) -> list[Occurrence | Gap]:
    """The next ``count``, within the deadline."""
    found: list[Occurrence | Gap] = []
    for _ in range(count):
        one = await listening.next(timeout_s=DEADLINE_S)
        assert one is not None, found
        found.append(one)
    return found


def times(found: list[Occurrence | Gap]) -> list[int | str]:
    return [one.reason if isinstance(one, Gap) else one.time_us for one in found]
