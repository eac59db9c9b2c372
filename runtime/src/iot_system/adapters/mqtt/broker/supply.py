"""What one member is owed: its shared subscriptions, retained messages, and what it has missed, as it has room."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from iot_system.adapters.mqtt.broker.attachment import Attachment, Due
from iot_system.adapters.mqtt.broker.deliveries import for_member, is_expired, outgoing
from iot_system.adapters.mqtt.broker.shared import SharedSubscriptions
from iot_system.adapters.mqtt.broker.tree import matches
from iot_system.adapters.mqtt.session import Delivery
from iot_system.ending import ended
from iot_system.errors import Unavailable
from iot_system.ports.broker import Messages, Retained, Stored, Subscription
from iot_system.ports.clock import Clock
from iot_system.ports.stream import StreamLost

_BATCH = 64
_WAIT_S = 1.0
_OPEN_AT_ONCE = 16
"""Readers that are made at the same time: when many clients come back together, the broker is not to choke on them."""
_RETRY_S = 0.5
log = structlog.get_logger()


class Supply:
    """One task per member that is owed something, for as long as it is."""

    def __init__(self, messages: Messages, retained: Retained, shared: SharedSubscriptions, clock: Clock) -> None:
        self._messages = messages
        self._retained = retained
        self._shared = shared
        self._clock = clock
        self._opening = asyncio.Semaphore(_OPEN_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, member: Attachment) -> None:
        """See to it that the member gets what it is owed."""
        if _is_owed(member) and not member.is_detached and (member.supply is None or member.supply.done()):
            member.supply = asyncio.create_task(self._run(member))
            self._tasks.add(member.supply)
            member.supply.add_done_callback(lambda task: self._done(member, task))

    async def stop(self) -> None:
        """Give nobody anything more."""
        for task in self._tasks:
            task.cancel()
        await ended(self._tasks)

    def _done(self, member: Attachment, task: asyncio.Task[None]) -> None:
        """An error in this program is the end of the connection, whose next one begins with what is owed."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a client cannot be given its messages", exc_info=error, client_id=member.record.client_id[:100])
            member.client.failed()

    async def _run(self, member: Attachment) -> None:
        while _is_owed(member):
            try:
                while member.shared_due:
                    await self._join(member, member.shared_due[-1])
                while member.retained_due:
                    await self._give_retained(member, next(iter(member.retained_due)))
                if not member.is_live:
                    await self._catch_up(member)
            except StreamLost:
                member.position = 0
            except Unavailable as error:
                log.warning("a client has to wait for its messages", why=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _join(self, member: Attachment, subscription: Subscription) -> None:
        await self._shared.join(member, subscription)
        if subscription in member.shared_due:
            member.shared_due.remove(subscription)
        if subscription.name not in member.subscriptions:  # unsubscribed meanwhile
            await self._shared.leave(member, subscription.name)

    async def _give_retained(self, member: Attachment, name: str) -> None:
        subscription = member.subscriptions.get(name)
        if subscription is None:
            del member.retained_due[name]
            return
        filter_ = subscription.filter
        if "+" not in filter_ and "#" not in filter_:
            found = await self._retained.of(filter_)
            if found is not None:
                await self._give(member, subscription, found)
        else:
            async with self._retained.read([filter_], after=member.retained_due[name].after) as reader:
                while not reader.is_at_end:
                    for stored in await reader.fetch(_BATCH, wait_s=_WAIT_S):
                        if matches(filter_, stored.message.topic):
                            await self._give(member, subscription, stored)
                        if member.subscriptions.get(name) is not subscription:
                            break
                    member.flush()
        member.flush()
        if member.subscriptions.get(name) is subscription:  # else it has subscribed anew, and that begins again
            member.retained_due.pop(name, None)

    async def _give(self, member: Attachment, subscription: Subscription, stored: Stored) -> None:
        name = subscription.name
        due = member.retained_due.get(name)
        if due is None or member.subscriptions.get(name) is not subscription or stored.retained <= due.after:
            return
        message = self._as_retained(subscription, stored, due)
        if message is not None:
            await member.stage_with_room(message)
        if member.retained_due.get(name) is due:  # else it was unsubscribed meanwhile, or is owed anew
            member.retained_due[name] = due._replace(after=stored.retained)

    def _as_retained(self, subscription: Subscription, stored: Stored, due: Due) -> Delivery | None:
        """None where it has expired, was cleared, or comes as a message of the log."""
        if not stored.message.payload or stored.sequence > due.until or is_expired(stored, self._clock.now_us()):
            return None
        identifiers = (subscription.identifier,) if subscription.identifier else ()
        qos = min(subscription.qos, stored.message.qos, 1)
        return outgoing(stored, qos=qos, retain=True, identifiers=identifiers, id_=f"r{stored.retained}")

    async def _catch_up(self, member: Attachment) -> None:
        subscriptions = list(member.subscriptions.values())
        filters = [one.filter for one in subscriptions if not one.group]
        if not filters:
            member.is_live = True
            return
        async with self._messages.read(filters, after=member.position) as reader:
            async with self._opening:
                found = await reader.fetch(_BATCH, wait_s=_WAIT_S)
            while list(member.subscriptions.values()) == subscriptions:
                await self._hand_on(member, found)
                if reader.is_at_end and member.position >= member.skipped:
                    member.is_live = True
                    return
                found = await reader.fetch(_BATCH, wait_s=_WAIT_S)

    async def _hand_on(self, member: Attachment, messages: Sequence[Stored]) -> None:
        """QoS 0 is for those who are there: nothing of it is made up for."""
        now_us = self._clock.now_us()
        for stored in messages:
            topic = stored.message.topic
            found = [one for one in member.own() if matches(one.filter, topic)]
            if found and not is_expired(stored, now_us):
                message = for_member(stored, found, member.key)
                if message is not None and message.qos:
                    await member.stage_with_room(message)
            member.position = stored.sequence
        member.flush()


def _is_owed(member: Attachment) -> bool:
    return bool(member.shared_due or member.retained_due) or not member.is_live
