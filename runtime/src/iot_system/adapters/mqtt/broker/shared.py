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
SHARE = 100
"""The most that one member has at a time; all of a group together have `iot_system.ports.broker.GROUP_LIMIT`."""
PATIENCE_S = 30.0
"""How long a member may acknowledge nothing of what it has."""
log = structlog.get_logger()


class _Member:
    """One member's share: what it has and did not acknowledge, by delivery id, with the token while it holds it."""

    def __init__(self, attachment: Attachment, subscription: Subscription, now_s: float) -> None:
        self.attachment = attachment
        self.subscription = subscription
        self.owed: dict[str, str | None] = {}
        self.heard_s = now_s
        """When it last acknowledged something, or owed nothing."""

    def has_room(self, size: int, now_s: float) -> bool:
        return len(self.owed) < SHARE and not self.is_stuck(now_s) and self.attachment.has_room(size)

    def is_stuck(self, now_s: float) -> bool:
        return bool(self.owed) and now_s - self.heard_s >= PATIENCE_S


class SharedMembers:
    """This process's members of one shared subscription; they take turns.

    A message of QoS 1 is settled when its member has acknowledged it, one of QoS 0 when it was handed over. What a
    member leaves behind goes to another one, in whatever process; the same where it acknowledges nothing for long, and
    it gets nothing more until it does.
    """

    def __init__(self, group: Group, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self._members: deque[_Member] = deque()
        self._waiting: deque[Shared] = deque()
        """Fetched, and there was no room for them."""
        self._lacking = 0
        """Bytes of the first that was given back, for there was no room for so long: nothing is fetched without."""
        self._verdicts: asyncio.Queue[tuple[Callable[[str], Awaitable[None]], str]] = asyncio.Queue()
        self._may_have_room = asyncio.Event()
        self._count = 0
        self._tasks: list[asyncio.Task[None]] = []

    def is_last(self, member: Attachment) -> bool:
        """Whether it is the only one here."""
        return all(one.attachment is member for one in self._members)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(one) for one in (self._read(), self._settle(), self._hold())]
        for task in self._tasks:
            task.add_done_callback(self._done)

    def join(self, member: Attachment, subscription: Subscription) -> None:
        """A second time changes the subscription."""
        known = next((one for one in self._members if one.attachment is member), None)
        if known is not None:
            known.subscription = subscription
        else:
            self._members.append(_Member(member, subscription, self._clock.monotonic_s()))
        self._may_have_room.set()

    def leave(self, member: Attachment) -> None:
        """What it has and did not acknowledge goes to others."""
        for one in [one for one in self._members if one.attachment is member]:
            self._members.remove(one)
            self._take_back(one)

    def acknowledged(self, id_: str) -> None:
        """The client has it, or has refused it for good."""
        self._may_have_room.set()
        for one in self._members:
            if id_ in one.owed:
                one.heard_s = self._clock.monotonic_s()
                if (token := one.owed.pop(id_)) is not None:
                    self._verdicts.put_nowait((self._group.done, token))
                return

    async def stop(self) -> None:
        """Settle what is settled here, give the rest to others."""
        reading, settling, holding = self._tasks
        for task in (reading, holding):
            task.cancel()
        await ended([reading, holding])
        await self._close()  # first: what is given back must not come back here
        for one in self._members:
            self._take_back(one)
        self._give_back_waiting()
        try:
            async with asyncio.timeout(1.0):
                await self._verdicts.join()
        except TimeoutError:
            log.warning("messages of a shared subscription come again, the broker did not take the word for them")
        settling.cancel()
        await ended([settling])

    def _done(self, task: asyncio.Task[None]) -> None:
        """An error in this program is the end of its members' connections: the next ones begin anew."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a shared subscription has failed", exc_info=error)
            for member in self._members:
                member.attachment.client.failed()

    async def _close(self) -> None:
        try:
            await self._group.close()
        except Unavailable as error:
            log.warning("a shared subscription was left without the broker", why=str(error))

    async def _read(self) -> None:
        while True:
            self._hand_out()
            now_s = self._clock.monotonic_s()
            if self._waiting or not any(one.has_room(self._lacking, now_s) for one in self._members):
                if not await self._comes_room() and self._waiting:
                    self._lacking = self._message(self._waiting[0], self._members[0].subscription).size
                    self._give_back_waiting()  # there may be room in another process
                continue
            self._lacking = 0
            try:
                self._waiting += await self._group.fetch(_BATCH, wait_s=_WAIT_S)
            except Unavailable as error:
                log.warning("a shared subscription cannot be read at present", why=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _comes_room(self) -> bool:
        """Whether something was acknowledged here, or somebody joined; False after a while: other messages go, too."""
        self._may_have_room.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_S):
                return await self._may_have_room.wait()
        return False

    def _hand_out(self) -> None:
        """Give what was fetched to members, as far as they have room."""
        touched: dict[Attachment, None] = {}
        while self._waiting:
            if is_expired(self._waiting[0].stored, self._clock.now_us()):
                self._verdicts.put_nowait((self._group.done, self._waiting.popleft().token))
                continue
            member = self._give(self._waiting[0])
            if member is None:
                break
            touched[member.attachment] = None
            self._waiting.popleft()
        for attachment in touched:
            attachment.flush()

    def _give(self, shared: Shared) -> _Member | None:
        """Stage it for the next member that has room; returns that one."""
        now_s = self._clock.monotonic_s()
        for _ in range(len(self._members)):
            member = self._members[0]
            self._members.rotate(-1)
            if not member.has_room(0, now_s):
                continue
            message = self._message(shared, member.subscription)
            if not member.attachment.is_detached and member.attachment.stage(message):
                if message.qos:
                    if not member.owed:
                        member.heard_s = now_s
                    member.owed[message.id] = shared.token
                else:
                    self._verdicts.put_nowait((self._group.done, shared.token))
                return member
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

    def _take_back(self, member: _Member) -> None:
        """It keeps owing what it has: it is not given more in the place of it."""
        for id_, token in member.owed.items():
            if token is not None:
                member.owed[id_] = None
                self._verdicts.put_nowait((self._group.give_back, token))

    def _give_back_waiting(self) -> None:
        while self._waiting:
            self._verdicts.put_nowait((self._group.give_back, self._waiting.popleft().token))

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
            now_s = self._clock.monotonic_s()
            for member in self._members:
                if member.is_stuck(now_s):
                    self._take_back(member)
            held = [token for one in self._members for token in one.owed.values() if token is not None]
            for token in [*held, *[one.token for one in self._waiting]]:
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
