"""Applications' topics in one process: who is connected here, and the way of their sessions in and out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from iot_system.adapters.mqtt.broker.attachment import Attachment, Client, session_from
from iot_system.adapters.mqtt.broker.deliveries import outgoing
from iot_system.adapters.mqtt.broker.feeds import Feeds
from iot_system.adapters.mqtt.broker.ownership import RELEASE_TIMEOUT_S, Ownership
from iot_system.adapters.mqtt.broker.publishing import Publisher
from iot_system.adapters.mqtt.broker.tree import matches
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery
from iot_system.errors import IotError, Retry
from iot_system.ports.broker import (
    Backend,
    Message,
    SessionRecord,
    SessionTaken,
    Subscription,
    Will,
    group_key,
    session_key,
)
from iot_system.ports.clock import Clock

_RETRY_S = 1.0
log = structlog.get_logger()


class Connecting(msgspec.Struct, frozen=True, kw_only=True):
    """Who connects. ``owner`` is whom ``client_id`` counts within, ``connection`` is unique among all connections."""

    owner: str
    client_id: str
    connection: str
    is_new: bool
    """Clean start: what there was of the session ends."""
    expiry_s: int
    will: Will | None
    may_subscribe: Callable[[str], Awaitable[bool]]
    """Whether a filter, without its share, may still be subscribed to. Raises `Retry`."""


class Router:
    """From `attach` to `detach` a client gets what it has subscribed to; what it misses waits in the log."""

    def __init__(
        self,
        backend: Backend,
        ownership: Ownership,
        publisher: Publisher,
        feeds: Feeds,
        clock: Clock,
        limits: MqttLimits,
    ) -> None:
        self._backend = backend
        self._ownership = ownership
        self._publisher = publisher
        self._feeds = feeds
        self._clock = clock
        self._limits = limits
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.attached: dict[str, Attachment] = {}
        """By session key."""
        self.on_left: Callable[[SessionRecord | None, frozenset[str]], None] = lambda record, groups: None
        """Called with what is left of a session that was given up, and the shared subscriptions that lost a member."""

    async def attach(self, client: Client, connecting: Connecting) -> tuple[Attachment, bool]:
        """Take the client's session up; returns also whether there was one.

        Whoever has it, here or elsewhere, is told so and closes. The caller lets the client in before it awaits
        anything else: messages come from then on. Raises `SessionTaken`, `Unavailable`, `Overloaded`.
        """
        key = session_key(connecting.owner, connecting.client_id)
        async with self._locked(key):
            if (older := self.attached.get(key)) is not None:
                self._take_from(older, is_new=connecting.is_new)
            if (leaving := self._leaving.get(key)) is not None:
                await asyncio.wait([leaving], timeout=RELEASE_TIMEOUT_S)
            record, revision, present = await self._ownership.take(
                connecting.owner,
                connecting.client_id,
                connecting.connection,
                is_new=connecting.is_new,
                expiry_s=connecting.expiry_s,
                will=connecting.will,
            )
            try:
                had = record.subscriptions
                record = await _narrowed(record, connecting.may_subscribe)
                member = await self._resume(client, record, revision, is_narrowed=record.subscriptions != had)
                await self._feeds.prepare(record.subscriptions)
            except IotError:
                record = replace(record, will=None, disconnected_us=self._clock.now_us())
                self._give_up(record, lambda: revision)
                raise
            self.attached[key] = member
            self._feeds.enter(member)
            if lost := _groups(had) - _groups(record.subscriptions):
                self.on_left(None, lost)
            return member, present

    def detach(self, member: Attachment, *, with_will: bool) -> None:
        """The connection is over; its will is published when it is due, but not where it left in order. Idempotent."""
        if not member.is_detached:
            self._part(member, with_will=with_will)

    async def release(self, key: str, is_new: bool) -> bool:
        """Another process wants a session; returns whether it was here, after it was saved."""
        async with self._locked(key):
            if (member := self.attached.get(key)) is not None:
                self._take_from(member, is_new=is_new)
            leaving = self._leaving.get(key)
            if leaving is not None:
                await asyncio.wait([leaving])
            return leaving is not None

    async def subscribe(self, member: Attachment, subscriptions: Sequence[Subscription]) -> None:
        """Add or replace subscriptions, as granted; what is retained follows, after the caller has awaited something.

        Raises `Unavailable`, `SessionTaken`; then nothing has changed.
        """
        before, due = dict(member.subscriptions), dict(member.retained_due)
        try:
            await self._feeds.add(member, subscriptions)
            if member.outlives_connection or any(one.group for one in subscriptions):
                await self.save(member)
        except IotError:
            await self._feeds.remove(member, [one.name for one in subscriptions])
            member.subscriptions.update(before)
            member.retained_due = due
            member.shared_due += [before[one.name] for one in subscriptions if one.group and one.name in before]
            if not member.is_detached:
                self._feeds.enter(member)
            raise
        self._feeds.supply(member)

    async def unsubscribe(self, member: Attachment, names: Sequence[str]) -> list[bool]:
        """Remove subscriptions by their names; returns which there were. Raises `Unavailable`, `SessionTaken`."""
        removed = [one for one in await self._feeds.remove(member, names) if one is not None]
        groups = _groups(removed)
        if member.outlives_connection or groups:
            await self.save(member)
        if groups:
            self.on_left(None, groups)
        gone = {one.name for one in removed}
        return [name in gone for name in names]

    async def publish(self, member: Attachment, messages: Sequence[Message]) -> list[IotError | None]:
        """For each message None once it is durable, or why it is not."""
        if member.outlives_connection and any(one.qos == 2 for one in messages):
            try:
                await self.save(member)  # the ids of those of QoS 2, so that none is stored twice
            except IotError as error:
                return [error] * len(messages)
        return await self._publisher.publish(messages)

    def acknowledged(self, member: Attachment, deliveries: Sequence[Delivery]) -> None:
        """The client has these, or has refused them for good."""
        self._feeds.acknowledged(deliveries)
        member.acknowledged()

    async def save(self, member: Attachment) -> None:
        """Write the session's record. Raises `Unavailable`, `Overloaded`, or `SessionTaken`: its client was told."""
        async with member.saving:
            if member.is_detached:
                raise SessionTaken(f"the connection of {member.record.client_id[:100]!r} is over")
            member.is_dirty = False
            record = member.snapshot(self._feeds.head)
            try:
                try:
                    member.revision = await self._backend.sessions.save(record, member.revision)
                except SessionTaken:
                    # It may have been we ourselves, when an answer got lost.
                    revision = await self._own_revision(member)
                    if revision is None:
                        self._lost(member)
                        raise
                    member.revision = await self._backend.sessions.save(record, revision)
            except Retry:
                member.is_dirty = True
                raise

    async def verify(self, member: Attachment) -> None:
        """Find out whether another process has the session, and tell its client. Raises `Unavailable`."""
        async with member.saving:
            if not member.is_detached and await self._own_revision(member) is None:
                self._lost(member)

    def knows(self, key: str) -> bool:
        """Whether this process has a session, is about to, or is about to give it up."""
        return key in self.attached or key in self._leaving or key in self._locks

    async def stop(self) -> None:
        """Let every client go, and return when their sessions are saved, however long that takes."""
        for member in list(self.attached.values()):
            self._take_from(member, is_new=False)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Give up what could not be saved; another process finds it when this one has died."""
        for task in self._tasks:
            task.cancel()

    async def _own_revision(self, member: Attachment) -> int | None:
        """The newest revision of its record, None where the record is another connection's or gone."""
        found = await self._backend.sessions.load(member.key)
        if found is None or (found[0].gateway, found[0].connection) != (
            member.record.gateway,
            member.record.connection,
        ):
            return None
        return found[1]

    async def _resume(self, client: Client, record: SessionRecord, revision: int, *, is_narrowed: bool) -> Attachment:
        """The session with what its client did not acknowledge, but for what is gone from the log meanwhile.

        Where it ``is_narrowed``, also but for what none of its subscriptions matches any more.
        """
        entries = record.in_flight
        in_log = iter(await self._backend.messages.get([one.sequence for one in entries if not one.retained]))
        kept = iter(await self._backend.retained.get([one.retained for one in entries if one.retained]))
        in_flight: list[tuple[int, Delivery]] = []
        for one in entries:
            found = next(kept) if one.retained else next(in_log)
            if found is not None and not (is_narrowed and not _is_wanted(found.message.topic, record)):
                id_ = f"r{one.retained}" if one.retained else f"m{one.sequence}"
                again = outgoing(found, qos=1, retain=one.retain, identifiers=one.identifiers, id_=id_)
                in_flight.append((one.packet_id, again))
        if any(one.reaches_log for one in record.subscriptions):  # the log may have lost its end
            record = replace(record, position=min(record.position, await self._backend.messages.last()))
        member = Attachment(client, session_from(record, in_flight), record, revision, self._limits)
        member.is_dirty = is_narrowed
        member.on_dropped = lambda dropped: self.acknowledged(member, dropped)
        return member

    def _take_from(self, member: Attachment, *, is_new: bool) -> None:
        """The session goes somewhere else."""
        if not member.is_detached:
            self._part(member, with_will=True, is_over=is_new)
        member.client.taken_over()

    def _part(self, member: Attachment, *, with_will: bool, is_over: bool = False) -> None:
        """Nothing comes to the client any more; what is to be kept of its session is written in the background."""
        record = member.snapshot(self._feeds.head)
        self._forget(member)
        will = record.will if with_will else None
        record = replace(record, will=will, disconnected_us=self._clock.now_us())
        self._give_up(record, lambda: member.revision, member, is_over=is_over)

    def _lost(self, member: Attachment) -> None:
        """Another process has the session: nothing of it is ours to write."""
        log.warning("a session is somewhere else", client_id=member.record.client_id[:100])
        self._forget(member)
        self._spawn(self._feeds.leave_groups(member))
        member.client.taken_over()

    def _forget(self, member: Attachment) -> None:
        member.is_detached = True
        self._feeds.exit(member)
        if self.attached.get(member.key) is member:
            del self.attached[member.key]

    def _give_up(
        self,
        record: SessionRecord,
        revision: Callable[[], int],
        member: Attachment | None = None,
        *,
        is_over: bool = False,
    ) -> None:
        self._leaving[record.key] = self._spawn(self._leave(record, revision, member, is_over=is_over))

    async def _leave(
        self, record: SessionRecord, revision: Callable[[], int], member: Attachment | None, *, is_over: bool
    ) -> None:
        """Tried until it is done: what it leaves would else be lost, or found after this process has died."""
        try:
            left: SessionRecord | None = None
            if member is not None:
                await self._feeds.leave_groups(member)
                async with member.saving:  # a save that is under way changes the revision
                    pass
            while True:
                try:
                    left = await self._ownership.give_up(record, revision(), is_over=is_over)
                except Retry as error:
                    log.warning("a session cannot be saved at present", why=str(error))
                    await asyncio.sleep(_RETRY_S)
                    continue
                except SessionTaken:
                    log.info("a session was somewhere else already", client_id=record.client_id[:100])
                break
        finally:
            if self._leaving.get(record.key) is asyncio.current_task():
                del self._leaving[record.key]
        gone = frozenset() if left is not None else _groups(record.subscriptions)
        self.on_left(left, gone)

    @contextlib.asynccontextmanager
    async def _locked(self, key: str) -> AsyncIterator[None]:
        """One at a time for each session."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            users = self._locks[key][1] - 1
            if users:
                self._locks[key] = (lock, users)
            else:
                del self._locks[key]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _narrowed(record: SessionRecord, may_subscribe: Callable[[str], Awaitable[bool]]) -> SessionRecord:
    """The record without subscriptions that its client has no right to any more. Raises `Retry`."""
    kept = [one for one in record.subscriptions if await may_subscribe(one.filter)]
    return record if len(kept) == len(record.subscriptions) else replace(record, subscriptions=tuple(kept))


def _is_wanted(topic: str, record: SessionRecord) -> bool:
    return any(matches(one.filter, topic) for one in record.subscriptions)


def _groups(subscriptions: Sequence[Subscription]) -> frozenset[str]:
    return frozenset(group_key(one.group, one.filter) for one in subscriptions if one.group)
