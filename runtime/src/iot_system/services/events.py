"""All events of the system, read once in this process for everybody in it who waits or listens."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import structlog

from iot_system.domain.access import Principal
from iot_system.domain.events import Event, NewReadings, decode_events, decode_new_readings
from iot_system.domain.permissions import is_itself_or_gateway
from iot_system.domain.registry import Device
from iot_system.errors import IotError, Overloaded
from iot_system.ports.events import Gap, Log, Occurrence, Position, Selection
from iot_system.ports.requests import Requests
from iot_system.ports.rooms import Rooms
from iot_system.services.listening import HubListening, Past
from iot_system.services.occurrences import Part, occurrences, told
from iot_system.services.passing import Passing, Take
from iot_system.services.rooms import RoomLabels
from iot_system.services.tail import LOST, Stretch, Tail

LISTENINGS_LIMIT = 2048
READY_TIMEOUT_S = 5.0
LISTENING_S = 5.0
"""How often those who publish readings hear that somebody listens."""
LINGER_S = 60.0
"""So long readings are kept coming after the last who listened: for those who only lost their connection."""
SELDOM_HEARD = "readings are kept only while somebody listens"
log = structlog.get_logger()


class Hub:
    """Implements `iot_system.ports.events.Events`.

    Readings are followed while somebody wants them only: with many devices they are most of all that happens.
    """

    def __init__(
        self,
        events: Log,
        readings: Log,
        requests: Requests,
        *,
        registered: Callable[[str], Awaitable[Device | None]],
        rooms: Rooms,
        partition_of: Callable[[str], int],
    ) -> None:
        self._events: Tail[Event] = Tail(events, decode_events, self._on_events)
        self._readings: Tail[NewReadings] = Tail(readings, decode_new_readings, self._on_readings)
        self._requests = requests
        self._registered = registered
        self._labels = RoomLabels(rooms)
        self._partition_of = partition_of
        self._passing = Passing(events)
        self._soon: dict[HubListening, Take] = {}
        self._all: set[HubListening] = set()
        self._by_device: dict[str, set[HubListening]] = {}
        self._to_any: set[HubListening] = set()
        self._wanted = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Follow the events from now on; returns at once, whether or not they can be read yet."""
        self._events.start()
        self._keeping = asyncio.create_task(self._keep_readings())

    async def stop(self) -> None:
        """End every listening, and leave; idempotent."""
        for listening in list(self._all):
            listening.close()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._events.stop()
        await self._readings.stop()

    async def listen(
        self, principal: Principal, selection: Selection, *, after: Position | None = None, soon: bool = False
    ) -> HubListening:
        """See `iot_system.ports.events.Events.listen`."""
        if len(self._all) >= LISTENINGS_LIMIT:
            raise Overloaded(f"{len(self._all)} readers of events are here, the limit of this process")
        listening = HubListening(
            selection,
            self.position,
            may_see=partial(self._may_see, principal),
            on_end=self._forget,
            on_leave=self._leave,
        )
        self._all.add(listening)
        try:
            await self._events.ready(READY_TIMEOUT_S)
            if soon:
                await self._hear_passing(listening)
            if selection.wants_readings:
                self._wanted.set()
                await self._readings.ready(READY_TIMEOUT_S)
            if after is None:
                listening.position = self.position
                self._attach(listening)
            else:
                await self._resume(listening, after)
        except BaseException:
            await listening.leave()
            raise
        return listening

    async def _hear_passing(self, listening: HubListening) -> None:
        def take(event: Event, size: int) -> None:
            listening.offer(told(event, self.position, size))

        self._soon[listening] = take
        for partition in self._partitions(listening.selection):
            await self._passing.hear(partition, take)

    async def _leave(self, listening: HubListening) -> None:
        if (take := self._soon.pop(listening, None)) is not None:
            for partition in self._partitions(listening.selection):
                await self._passing.leave(partition, take)

    def _partitions(self, selection: Selection) -> set[int]:
        return {self._partition_of(device) for device in selection.devices}

    async def _resume(self, listening: HubListening, after: Position) -> None:
        pasts = {"events": Past(self._events, "events", after.events)}
        if listening.selection.wants_readings:
            pasts["readings"] = Past(self._readings, "readings", after.readings)
            if after.readings < self._readings.began:
                listening.offer(Gap(after, SELDOM_HEARD))
        begin = after
        for part, past in pasts.items():
            if not await past.has_begun():
                begin = msgspec.structs.replace(begin, **{part: 0})
                listening.offer(Gap(begin, LOST))
        listening.begin_with(list(pasts.values()), begin, self._attach)

    @property
    def position(self) -> Position:
        """How far this process has read."""
        return Position(self._events.position, self._readings.position)

    @property
    def listenings(self) -> int:
        """How many readers there are."""
        return len(self._all)

    def _attach(self, listening: HubListening) -> None:
        for listeners in self._listeners(listening.selection):
            listeners.add(listening)

    def _forget(self, listening: HubListening) -> None:
        self._all.discard(listening)
        for listeners in self._listeners(listening.selection):
            listeners.discard(listening)
        for device in listening.selection.devices:
            if not self._by_device[device]:
                del self._by_device[device]

    def _listeners(self, selection: Selection) -> list[set[HubListening]]:
        if not selection.devices:
            return [self._to_any]
        return [self._by_device.setdefault(device, set()) for device in selection.devices]

    def _on_events(self, stretch: Stretch[Event]) -> None:
        self._dispatch(stretch, "events")

    def _on_readings(self, stretch: Stretch[NewReadings]) -> None:
        self._dispatch(stretch, "readings")

    def _dispatch(self, stretch: Stretch[Event] | Stretch[NewReadings], part: Part) -> None:
        before = self.position
        after = msgspec.structs.replace(before, **{part: stretch.sequence})
        if stretch.missing:
            gap = Gap(before, stretch.missing)
            for listening in {*self._to_any, *itertools.chain.from_iterable(self._by_device.values())}:
                if part == "events" or listening.selection.wants_readings:
                    listening.offer(gap)
        for one in occurrences(stretch, before, after):
            # Copies: a reader that is too slow leaves meanwhile.
            for listening in list(self._to_any):
                listening.offer(one)
            for listening in list(self._by_device.get(one.device or "", ())):
                listening.offer(one)

    async def _may_see(self, principal: Principal, one: Occurrence) -> bool:
        if principal.role != "device" and not principal.scopes:
            return True
        if one.device is None:
            return principal.role != "device" and await self._sees_room(principal, one.room)
        if principal.role == "device" and principal.id == one.device:
            return True
        device = await self._registered(one.device)
        if principal.role == "device":
            return device is not None and is_itself_or_gateway(principal, device)
        # A device that is gone was in sight by its room at least.
        return principal.sees(room=device.room if device else one.room, labels=device.labels if device else {})

    async def _sees_room(self, principal: Principal, room: str | None) -> bool:
        if room is None or principal.sees(room=room, labels={}):
            return room is not None
        labels = await self._labels.get(room)
        return labels is not None and principal.sees(room=room, labels=labels)

    async def _keep_readings(self) -> None:
        """While somebody wants readings, and a little longer, say so and follow them."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._readings.start()
            wanted_s = loop.time()
            while loop.time() - wanted_s < LINGER_S:
                try:
                    await self._requests.listening()
                except IotError as error:
                    log.warning("could not say that somebody listens", why=str(error))
                await asyncio.sleep(LISTENING_S)
                if self._wanted.is_set() or any(one.selection.wants_readings for one in self._all):
                    self._wanted.clear()
                    wanted_s = loop.time()
            await self._readings.stop()
