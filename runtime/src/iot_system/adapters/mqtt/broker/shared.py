"""Shared subscriptions (MQTT 5, 4.8.2): each message goes to one member, over all processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from iot_system.adapters.mqtt.broker.attachment import Attachment
from iot_system.adapters.mqtt.broker.deliveries import is_expired, outgoing
from iot_system.adapters.mqtt.session import Delivery
from iot_system.ending import ended
from iot_system.errors import Unavailable
from iot_system.ports.broker import HOLD_EVERY_S, Group, Messages, Shared, Subscription
from iot_system.ports.clock import Clock

_BATCH = 32
_WAIT_S = 1.0
_RETRY_S = 0.5
log = structlog.get_logger()


class SharedMembers:
    """This process's members of one shared subscription; they take turns.

    A message of QoS 1 is settled when its member has acknowledged it, one of QoS 0 when it was handed over. What a
    member leaves behind goes to another one, in whatever process.
    """

    def __init__(self, group: Group, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self._members: deque[tuple[Attachment, Subscription]] = deque()
        self._held: dict[str, tuple[str, Attachment]] = {}
        """Delivery id → token and who has it."""
        self._verdicts: asyncio.Queue[tuple[Callable[[str], Awaitable[None]], str]] = asyncio.Queue()
        self._may_have_room = asyncio.Event()
        self._count = 0
        self._tasks: list[asyncio.Task[None]] = []

    def is_last(self, member: Attachment) -> bool:
        """Whether it is the only one here."""
        return all(one is member for one, _ in self._members)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(one) for one in (self._read(), self._settle(), self._hold())]

    def join(self, member: Attachment, subscription: Subscription) -> None:
        """A second time changes the subscription."""
        self._members = deque(one for one in self._members if one[0] is not member)
        self._members.append((member, subscription))
        self._may_have_room.set()

    def leave(self, member: Attachment) -> None:
        """What it has and did not acknowledge goes to others."""
        self._members = deque(one for one in self._members if one[0] is not member)
        for id_ in [id_ for id_, (_, holder) in self._held.items() if holder is member]:
            token, _ = self._held.pop(id_)
            self._verdicts.put_nowait((self._group.give_back, token))

    def acknowledged(self, id_: str) -> None:
        """The client has it, or has refused it for good."""
        self._may_have_room.set()
        if (held := self._held.pop(id_, None)) is not None:
            self._verdicts.put_nowait((self._group.done, held[0]))

    async def stop(self) -> None:
        """Settle what is settled here, give the rest to others."""
        reading, settling, holding = self._tasks
        for task in (reading, holding):
            task.cancel()
        await ended([reading, holding])
        await self._close()  # first: what is given back must not come back here
        for holder in {holder for _, holder in self._held.values()}:
            self.leave(holder)
        try:
            async with asyncio.timeout(1.0):
                await self._verdicts.join()
        except TimeoutError:
            log.warning("messages of a shared subscription come again, the broker did not take the word for them")
        settling.cancel()
        await ended([settling])

    async def _close(self) -> None:
        try:
            await self._group.close()
        except Unavailable as error:
            log.warning("a shared subscription was left without the broker", why=str(error))

    async def _read(self) -> None:
        while True:
            if not any(member.has_room for member, _ in self._members):
                await self._wait_for_room()
                continue
            try:
                found = await self._group.fetch(_BATCH, wait_s=_WAIT_S)
            except Unavailable as error:
                log.warning("a shared subscription cannot be read at present", why=str(error))
                await asyncio.sleep(_RETRY_S)
                continue
            touched = {self._give(shared) for shared in found}
            for member in touched:
                if member is not None:
                    member.flush()

    async def _wait_for_room(self) -> None:
        """Returns when something was acknowledged here, or after a while: other messages take room as well."""
        self._may_have_room.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_S):
                await self._may_have_room.wait()

    def _give(self, shared: Shared) -> Attachment | None:
        """Stage it for the next member that has room; returns that one."""
        group = self._group
        if is_expired(shared.stored, self._clock.now_us()):
            self._verdicts.put_nowait((group.done, shared.token))
            return None
        for _ in range(len(self._members)):
            member, subscription = self._members[0]
            self._members.rotate(-1)
            message = self._message(shared, subscription)
            if not member.is_detached and member.stage(message):
                if message.qos:
                    self._held[message.id] = (shared.token, member)
                else:
                    self._verdicts.put_nowait((group.done, shared.token))
                return member
        self._verdicts.put_nowait((group.give_back, shared.token))
        return None

    def _message(self, shared: Shared, subscription: Subscription) -> Delivery:
        self._count += 1
        message = shared.stored.message
        return outgoing(
            shared.stored,
            qos=min(subscription.qos, message.qos, 1),
            retain=subscription.retain_as_published and message.retain,
            identifiers=(subscription.identifier,) if subscription.identifier else (),
            id_=f"s{self._count}/{subscription.name}",
        )

    async def _settle(self) -> None:
        while True:
            verdict, token = await self._verdicts.get()
            try:
                await verdict(token)
            except Unavailable as error:
                log.info("a message of a shared subscription may come again", why=str(error))
            finally:
                self._verdicts.task_done()

    async def _hold(self) -> None:
        while True:
            await asyncio.sleep(HOLD_EVERY_S)
            for token, _ in list(self._held.values()):
                self._verdicts.put_nowait((self._group.hold, token))


class SharedSubscriptions:
    """All shared subscriptions with members in this process."""

    def __init__(self, messages: Messages, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock
        self._groups: dict[str, SharedMembers] = {}
        self._changing = asyncio.Lock()

    async def join(self, member: Attachment, subscription: Subscription) -> None:
        """Raises `Unavailable`."""
        async with self._changing:
            name = subscription.name
            if name not in self._groups:
                joined = await self._messages.join(subscription.group, subscription.filter, after=subscription.since)
                members = self._groups[name] = SharedMembers(joined, self._clock)
                members.start()
            self._groups[name].join(member, subscription)

    async def leave(self, member: Attachment, name: str) -> None:
        """Idempotent; what it did not acknowledge goes to other members."""
        async with self._changing:
            if (members := self._groups.get(name)) is None:
                return
            if members.is_last(member):
                del self._groups[name]
                await members.stop()
            else:
                members.leave(member)

    def acknowledged(self, message: Delivery) -> None:
        """A message whose id begins with ``s`` is settled."""
        _, _, name = message.id.partition("/")
        if (members := self._groups.get(name)) is not None:
            members.acknowledged(message.id)

    async def stop(self) -> None:
        """Settle what is settled, leave the rest to others."""
        async with self._changing:
            groups, self._groups = self._groups, {}
            await asyncio.gather(*(members.stop() for members in groups.values()))
