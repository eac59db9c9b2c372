"""What people and programs are sent below ``v1/``: events, as they happen and as their role lets them see.

A session that outlives its connection goes on from where its client was, as far as the events are kept; so does one
that more came for at once than is queued for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from iot_system.adapters.mqtt.broker.attachment import Attachment
from iot_system.adapters.mqtt.broker.tree import matches
from iot_system.adapters.mqtt.event_topics import message_of, selection_of
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties
from iot_system.adapters.mqtt.room_twins import twins
from iot_system.adapters.mqtt.session import Delivery
from iot_system.ending import ended
from iot_system.errors import IotError, Retry
from iot_system.ports.broker import Subscription
from iot_system.ports.events import Gap, Listening, Occurrence, Position, Selection
from iot_system.ports.gateway import Gateway, Principal

ROOM_WITHIN_S = 30.0
"""The longest that an event of QoS 1 waits for room in its client's queue; meanwhile others queue in the hub."""
_WAIT_S = 3600.0
_RETRY_S = 1.0
log = structlog.get_logger()


class EventFeed:
    """Of one connection. ``on_slow`` is called with a sentence where the client cannot keep up: that is its end."""

    def __init__(
        self, gateway: Gateway, principal: Principal, member: Attachment, on_slow: Callable[[str], None]
    ) -> None:
        self._gateway = gateway
        self._principal = principal
        self._member = member
        self._on_slow = on_slow
        self._selection: Selection | None = None
        self._listenings: deque[Listening] = deque()
        """The last one brings what happens now; those before it are closed, and have something left."""
        self._position = ""
        self._pump: asyncio.Task[None] | None = None
        self._due: dict[str, None] = {}
        """Names of the subscriptions that are owed what they find as it is now."""
        self._giving: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._is_flush_due = False
        self._changing = asyncio.Lock()

    async def follow(self, subscriptions: Sequence[Subscription]) -> None:
        """Listen to what these need, from now on; the first time from where the session was.

        Raises `Overloaded`, `Unavailable`; then nothing has changed.
        """
        async with self._changing:
            await self._follow(selection_of(one.filter for one in subscriptions if not one.group))

    def give_current(self, subscriptions: Sequence[Subscription]) -> None:
        """Send what these subscriptions find as it is now: one after the other, and what is asked for again once."""
        self._due.update(dict.fromkeys([one.name for one in subscriptions]))
        if not self._is_stopped and (self._giving is None or self._giving.done()):
            self._giving = asyncio.create_task(self._give_current())

    async def stop(self) -> None:
        """Listen no more; idempotent."""
        self._is_stopped = True
        tasks = [one for one in (self._giving, self._pump) if one is not None]
        for task in tasks:
            task.cancel()
        await ended(tasks)
        while self._listenings:
            await self._listenings.pop().leave()

    async def _follow(self, selection: Selection | None) -> None:
        if selection == self._selection:
            return
        listening = None
        if selection is not None:
            resumes = self._member.events if self._pump is None else ""
            after = Position.parse(resumes) if resumes else None
            listening = await self._gateway.events.listen(self._principal, selection, after=after)
            if self._is_stopped:
                await listening.leave()
                return
        self._selection = selection
        if self._listenings:
            self._listenings[-1].close()  # what it has queued ends where the next one begins
        if listening is not None:
            self._listenings.append(listening)
            if self._pump is None or self._pump.done():
                self._pump = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._listenings:
            listening = self._listenings[0]
            self._tell_position(str(listening.position))
            try:
                one = await listening.next(timeout_s=_WAIT_S)
            except IotError as error:
                log.warning("events wait", why=str(error), client=self._principal.id)
                await asyncio.sleep(_RETRY_S)
                continue
            if isinstance(one, Occurrence):
                if not await self._give(one):
                    return
            elif isinstance(one, Gap):
                if not listening.is_over:
                    log.info("events may be missing", why=one.reason, client=self._principal.id)
                elif listening is self._listenings[-1]:
                    await self._catch_up(one.position)
            elif listening.is_over:
                self._listenings.popleft()
                await listening.leave()
        self._tell_position("")

    async def _catch_up(self, position: Position) -> None:
        """The queue was full: what did not fit is read from the stream."""
        async with self._changing:
            if self._selection is None:
                return
            try:
                follower = await self._gateway.events.listen(self._principal, self._selection, after=position)
            except Retry as error:
                self._on_slow(str(error))
                return
            await self._listenings.popleft().leave()
            self._listenings.append(follower)

    async def _give(self, one: Occurrence) -> bool:
        """False where there is no room for it, for too long."""
        described = message_of(one)
        if described is None:
            return True
        topic, payload = described
        found = [sub for sub in self._member.subscriptions.values() if not sub.group and matches(sub.filter, topic)]
        if not found:
            return True
        message = self._delivery(topic, payload, found, is_retained=False)
        if not self._member.stage(message):
            try:
                async with asyncio.timeout(ROOM_WITHIN_S):
                    await self._member.stage_with_room(message)
            except TimeoutError:
                self._on_slow(f"the client has not acknowledged anything for {ROOM_WITHIN_S:g} s")
                return False
        self._flush_soon()
        return True

    async def _give_current(self) -> None:
        while self._due:
            name = next(iter(self._due))
            del self._due[name]
            if (one := self._member.subscriptions.get(name)) is None:
                continue
            try:
                found = twins(self._gateway.rooms, self._principal, one.filter, now_us=self._gateway.now_us())
                async for topic, payload in found:
                    message = self._delivery(topic, payload, [one], is_retained=True)
                    await self._member.stage_with_room(message)
                    self._flush_soon()
            except IotError as error:
                log.warning("rooms cannot be told at present", why=str(error), client=self._principal.id)

    def _delivery(self, topic: str, payload: bytes, found: Sequence[Subscription], *, is_retained: bool) -> Delivery:
        identifiers = tuple(one.identifier for one in found if one.identifier)
        properties = Properties(subscription_identifier=identifiers) if identifiers else NO_PROPERTIES
        id_ = "" if is_retained else f"e{self._position}"
        return Delivery(topic, payload, max(one.qos for one in found), is_retained, properties, id=id_)

    def _tell_position(self, position: str) -> None:
        """A session goes on behind what is acknowledged; events of QoS 0 are for those who are there."""
        self._position = position
        keeps = any(one.qos and not one.group for one in self._member.subscriptions.values())
        self._member.events = position if keeps else ""

    def _flush_soon(self) -> None:
        """Once for all that come together."""
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        self._member.flush()
