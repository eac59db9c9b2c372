"""What the members of this process get: live from the log, from further back, or as their share of a group."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from iot_system.adapters.mqtt.broker.attachment import Attachment, Due
from iot_system.adapters.mqtt.broker.deliveries import is_expired
from iot_system.adapters.mqtt.broker.live import Live
from iot_system.adapters.mqtt.broker.shared import SharedSubscriptions
from iot_system.adapters.mqtt.broker.supply import Supply
from iot_system.adapters.mqtt.broker.tree import SubscriptionTree
from iot_system.adapters.mqtt.session import Delivery
from iot_system.ports.broker import Messages, Retained, Stored, Subscription
from iot_system.ports.clock import Clock


class Feeds:
    """All subscriptions of the process's members."""

    def __init__(self, messages: Messages, retained: Retained, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock
        self._tree: SubscriptionTree[Attachment] = SubscriptionTree()
        self._live = Live(messages, self._on_messages, self._on_lost)
        self._shared = SharedSubscriptions(messages, clock)
        self._supply = Supply(messages, retained, self._shared, clock)
        self._members: set[Attachment] = set()
        self._preparing = 0

    @property
    def failure(self) -> str | None:
        """Why members get no messages any more: a reason to start the process anew."""
        return self._live.failure

    @property
    def head(self) -> int | None:
        """Up to where the log was handed to the members that are live; None while nothing is read."""
        return self._live.head

    async def prepare(self, subscriptions: Sequence[Subscription]) -> None:
        """Read what a member to be is for. Raises `Unavailable`."""
        self._preparing += 1
        try:
            await self._live.want([one.filter for one in subscriptions if one.reaches_log and not one.group])
        finally:
            self._preparing -= 1

    def enter(self, member: Attachment) -> None:
        """A member that was prepared for gets messages from here on, but not before the caller awaits something."""
        self._members.add(member)
        for one in member.own():
            self._tree.add(member, one)
        if self.head is not None and member.position >= self.head:
            member.is_live = True  # it has missed nothing
        self._supply.start(member)

    def exit(self, member: Attachment) -> None:
        """It gets nothing any more."""
        self._members.discard(member)
        for one in member.own():
            self._tree.remove(member, one.filter)
        if member.supply is not None:
            member.supply.cancel()

    async def leave_groups(self, member: Attachment) -> None:
        """What it did not acknowledge as its share goes to others."""
        for one in list(member.subscriptions.values()):
            if one.group:
                await self._shared.leave(member, one.name)

    async def add(self, member: Attachment, subscriptions: Sequence[Subscription]) -> None:
        """Add or replace subscriptions; retained messages are due by them. Raises `Unavailable`."""
        self._preparing += 1
        try:
            in_log = [one for one in subscriptions if one.reaches_log]
            await self._live.want([one.filter for one in in_log if not one.group])
            last = await self._messages.last() if in_log else 0
            for one in subscriptions:
                before = member.subscriptions.get(one.name)
                # One that replaces another misses nothing of what that one would have got.
                granted = replace(one, since=last if before is None else before.since)
                if granted.group:
                    await self._shared.join(member, granted)
                elif one.reaches_log and (one.retain_handling == 0 or (one.retain_handling == 1 and before is None)):
                    member.retained_due[one.name] = Due(0, last)
                member.subscriptions[one.name] = granted
                if granted.reaches_log and not granted.group and not member.is_detached:
                    self._tree.add(member, granted)
        finally:
            self._preparing -= 1

    async def remove(self, member: Attachment, names: Sequence[str]) -> list[Subscription | None]:
        """Remove subscriptions by name; returns what there was."""
        removed = [member.subscriptions.pop(name, None) for name in names]
        for one in removed:
            if one is not None:
                member.retained_due.pop(one.name, None)
                if one.group:
                    member.shared_due = [due for due in member.shared_due if due.name != one.name]
                    await self._shared.leave(member, one.name)
                else:
                    self._tree.remove(member, one.filter)
        return removed

    def supply(self, member: Attachment) -> None:
        """Give it what is due."""
        self._supply.start(member)

    def acknowledged(self, deliveries: Sequence[Delivery]) -> None:
        """A client has these, or has refused them for good."""
        for one in deliveries:
            if one.id.startswith("s"):
                self._shared.acknowledged(one)

    async def rest(self) -> None:
        """Read nothing more where nobody has subscribed to anything."""
        if not len(self._tree) and not self._preparing and self._live.head is not None:
            await self._live.rest()

    async def stop(self) -> None:
        """Give nobody anything more."""
        await self._supply.stop()
        await self._shared.stop()
        await self._live.rest()

    def _on_messages(self, messages: Sequence[Stored]) -> None:
        touched: dict[Attachment, None] = {}
        now_us = self._clock.now_us()
        for stored in messages:
            if is_expired(stored, now_us):
                continue
            found: dict[Attachment, list[Subscription]] = {}
            for member, subscription in self._tree.match(stored.message.topic):
                found.setdefault(member, []).append(subscription)
            for member, subscriptions in found.items():
                touched[member] = None
                if not member.take_live(stored, subscriptions):
                    self._supply.start(member)
        for member in touched:
            member.flush()

    def _on_lost(self, last: int) -> None:
        """The log will give the sequences behind ``last`` to other messages: those must not be taken for known."""
        for member in self._members:
            member.position = min(member.position, last)
            for name, one in member.subscriptions.items():
                if one.since > last:
                    member.subscriptions[name] = since_last = replace(one, since=last)
                    if not one.group:
                        self._tree.add(member, since_last)
