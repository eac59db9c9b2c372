"""A client that was let in: what becomes of its packets, and what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from iot_system.adapters.mqtt.applications import PREFIX
from iot_system.adapters.mqtt.broker.attachment import Attachment
from iot_system.adapters.mqtt.common import Common
from iot_system.adapters.mqtt.downlink import Downlink
from iot_system.adapters.mqtt.event_feed import EventFeed
from iot_system.adapters.mqtt.inbound import Batch, Refusal
from iot_system.adapters.mqtt.packets import Options, Subscribe, Unsubscribe
from iot_system.adapters.mqtt.permissions import device_to_look_up
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.refusing import refusal_of
from iot_system.adapters.mqtt.session import Delivery
from iot_system.adapters.mqtt.signalling import Signalling
from iot_system.adapters.mqtt.subscribing import refused_filters, unsubscribed
from iot_system.adapters.mqtt.topics import parse_shared
from iot_system.errors import IotError, Overloaded, Retry
from iot_system.ports.broker import SessionTaken, Subscription
from iot_system.ports.gateway import Principal

log = structlog.get_logger()


class Admitted:
    """``principal`` with the session of ``member``. ``on_slow`` is called where it cannot keep up with events."""

    def __init__(
        self, common: Common, principal: Principal, member: Attachment, *, on_slow: Callable[[str], None]
    ) -> None:
        self.principal = principal
        self.member = member
        self._common = common
        self._turn: asyncio.Lock | None = None
        self._downlink: Downlink | None = None
        self._feed: EventFeed | None = None
        self._named: frozenset[str] = frozenset()
        gateway = common.gateway
        if principal.role == "device":
            self._downlink = common.downlinks[member.record.connection] = Downlink(
                principal.id,
                gateway.name,
                member.record.connection,
                member,
                now_us=gateway.now_us,
                say=Signalling(gateway, principal, common.spawn).say,
            )
        else:
            self._feed = EventFeed(gateway, principal, member, on_slow)

    def begin(self) -> None:
        """Its CONNACK is on the way."""
        self._note_named()
        if self._downlink is not None:
            self._downlink.begin()
        elif self.member.subscriptions:
            self._common.spawn(self._resume())

    async def store(self, batch: Batch) -> dict[int, Refusal]:
        """Returns when each message is durable or refused: the refused ones by index."""
        publishes = batch.publishes
        ours = [index for index, one in enumerate(publishes) if one.topic.startswith(PREFIX)]
        if self._turn is None and not ours and not (batch.ids and self.member.outlives_connection):
            return await self._common.intake.store(self.principal, publishes, range(len(publishes)), batch.ids)
        if self._turn is None:
            # From here on one batch at a time: what waits for the broker must not be overtaken.
            self._turn = asyncio.Lock()
        async with self._turn:
            return await self._store(batch, ours)

    async def subscribe(self, subscribe: Subscribe) -> tuple[list[ReasonCode], Callable[[], None]]:
        """The answer, and what is to be called once it is sent: then comes what is due by the subscriptions."""
        member, by_name, before = self.member, dict[str, Subscription](), frozenset(self.member.subscriptions)
        refused = refused_filters(member.subscriptions, subscribe, self._common.limits)
        identifier = next(iter(subscribe.properties.subscription_identifier), 0)
        codes: list[ReasonCode] = []
        for index, (filter_, options) in enumerate(subscribe.filters):
            code = refused.get(index) or await self._why_not(filter_)
            if code is None:
                by_name[filter_] = _granted(filter_, options, identifier)
                code = ReasonCode(by_name[filter_].qos)
            codes.append(code)
        wanted = list(by_name.values())
        try:
            if self._feed is not None:
                await self._feed.follow([*member.subscriptions.values(), *wanted])
            await self._common.router.subscribe(member, wanted)
        except IotError as error:
            log.warning("a subscription waits", why=str(error), client=self.principal.id)
            failed = _code_of(error)
            return [code if code >= ReasonCode.UNSPECIFIED_ERROR else failed for code in codes], lambda: None
        self._note_named()
        asks = [one for one in wanted if not one.group and _asks_for_current(one, is_new=one.name not in before)]
        return codes, lambda: self._subscribed(asks)

    async def unsubscribe(self, unsubscribe: Unsubscribe) -> list[ReasonCode]:
        """The answer."""
        member = self.member
        codes = unsubscribed(member.subscriptions, unsubscribe)
        try:
            await self._common.router.unsubscribe(member, unsubscribe.filters)
            if self._feed is not None:
                await self._feed.follow(list(member.subscriptions.values()))
        except IotError as error:
            log.warning("an unsubscription is not saved yet", why=str(error), client=self.principal.id)
        self._unsubscribed()
        return codes

    async def recheck(self, device: str) -> None:
        """See `iot_system.adapters.mqtt.common.Follower.recheck`."""
        common, member = self._common, self.member
        while not member.is_detached:
            try:
                lost = [
                    one.name
                    for one in list(member.subscriptions.values())
                    if device_to_look_up(self.principal, one.filter) == device
                    and not await common.applications.may_subscribe(self.principal, one.filter)
                ]
                if not lost:
                    return
                log.info("subscriptions end with the right to them", client=self.principal.id, device=device)
                try:
                    await common.router.unsubscribe(member, lost)
                finally:
                    self._unsubscribed()
            except Retry as error:
                await asyncio.sleep(error.after_s)
            except SessionTaken:
                return

    def acknowledged(self, messages: Sequence[Delivery], dropped: Sequence[Delivery]) -> None:
        """The client has these, or has refused them for good; those ``dropped`` are too large for it."""
        self._common.router.acknowledged(self.member, [*messages, *dropped])
        if self._downlink is not None:
            self._downlink.acknowledged(messages, dropped)

    def end(self, reason: str, *, with_will: bool) -> None:
        """The connection is over, for ``reason``, one of few words. Idempotent."""
        self._name(frozenset())
        self._common.router.detach(self.member, with_will=with_will)
        if self._downlink is not None and self._common.downlinks.pop(self.member.record.connection, None) is not None:
            self._downlink.end(reason)
        if self._feed is not None:
            self._common.spawn(self._feed.stop())

    def _unsubscribed(self) -> None:
        self._note_named()
        if self._downlink is not None:
            self._downlink.unsubscribed()

    def _note_named(self) -> None:
        """Which other devices it has subscribed to."""
        if self._downlink is not None and not self.member.is_detached:
            found = {device_to_look_up(self.principal, one.filter) for one in self.member.subscriptions.values()}
            self._name(frozenset(one for one in found if one is not None))

    def _name(self, devices: frozenset[str]) -> None:
        naming, before, self._named = self._common.naming, self._named, devices
        for device in before - devices:
            naming[device].discard(self)
            if not naming[device]:
                del naming[device]
        for device in devices - before:
            naming.setdefault(device, set()).add(self)

    def _subscribed(self, asks: Sequence[Subscription]) -> None:
        if self._downlink is not None:
            self._downlink.subscribed(asks)
        elif self._feed is not None and asks:
            self._feed.give_current(asks)

    async def _resume(self) -> None:
        """The session had subscriptions."""
        assert self._feed is not None
        while not self.member.is_detached:
            try:
                await self._feed.follow(list(self.member.subscriptions.values()))
            except Retry as error:
                log.warning("events wait", why=str(error), client=self.principal.id)
                await asyncio.sleep(error.after_s)
            else:
                return

    async def _store(self, batch: Batch, ours: Sequence[int]) -> dict[int, Refusal]:
        common, publishes = self._common, batch.publishes
        others = sorted(set(range(len(publishes))) - set(ours))
        refusals: dict[int, Refusal] = {}
        if self.member.outlives_connection and any(index in batch.ids for index in others):
            try:
                await common.router.save(self.member)  # the ids, so that no message is stored twice
            except IotError as error:
                refusals = dict.fromkeys(others, refusal_of(error, common.limits.refusal_pause_s))
                others = []
        stored, published = await asyncio.gather(
            common.intake.store(self.principal, publishes, others, batch.ids),
            common.applications.publish(self.principal, self.member, publishes, ours, batch.ids),
        )
        return refusals | stored | published

    async def _why_not(self, filter_: str) -> ReasonCode | None:
        shared = parse_shared(filter_)
        if shared is not None and not shared.topic_filter.startswith(PREFIX):
            return ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
        name = filter_ if shared is None else shared.topic_filter
        try:
            is_allowed = await self._common.applications.may_subscribe(self.principal, name)
        except Retry as error:
            return _code_of(error)
        return None if is_allowed else ReasonCode.NOT_AUTHORIZED


def _asks_for_current(one: Subscription, *, is_new: bool) -> bool:
    """See the option Retain Handling (3.8.3.1)."""
    return one.retain_handling == 0 or (one.retain_handling == 1 and is_new)


def _granted(filter_: str, options: Options, identifier: int) -> Subscription:
    shared = parse_shared(filter_)
    return Subscription(
        filter=filter_ if shared is None else shared.topic_filter,
        qos=min(options.qos, 1),
        no_local=options.no_local,
        retain_as_published=options.retain_as_published,
        retain_handling=options.retain_handling,
        identifier=identifier,
        group="" if shared is None else shared.share_name,
    )


def _code_of(error: IotError) -> ReasonCode:
    return ReasonCode.QUOTA_EXCEEDED if isinstance(error, Overloaded) else ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
