"""Applications' own topics, below ``app/``: who may do what there, on the way to the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iot_system.adapters.mqtt.broker.attachment import Attachment
from iot_system.adapters.mqtt.broker.deliveries import message_from
from iot_system.adapters.mqtt.broker.router import Router
from iot_system.adapters.mqtt.inbound import Refusal
from iot_system.adapters.mqtt.packets import Publish, Will
from iot_system.adapters.mqtt.permissions import device_to_look_up, may_publish, may_subscribe
from iot_system.adapters.mqtt.refusing import refusal_of, topic_refusal
from iot_system.adapters.mqtt.topics import check_size
from iot_system.domain.registry import Device
from iot_system.errors import Forbidden, IotError, Retry
from iot_system.ports import broker
from iot_system.ports.gateway import Gateway, Principal

PREFIX = "app/"


class Applications:
    """``pause_s`` is the wait advised to the sender of a refused message."""

    def __init__(self, gateway: Gateway, router: Router, pause_s: float) -> None:
        self._gateway = gateway
        self._router = router
        self._pause_s = pause_s

    async def may_subscribe(self, principal: Principal, filter_: str) -> bool:
        """``filter_`` is without its share. Raises `Retry` where that cannot be told at present."""
        return may_subscribe(principal, filter_, await self._registered(principal, filter_))

    async def will_of(self, principal: Principal, will: Will, key: str) -> broker.Will:
        """The will of the session ``key``. Raises `Forbidden`, `InvalidInput`, or `Retry`."""
        await self._check(principal, will.topic)
        return broker.Will(
            message=message_from(will, publisher=key, now_us=self._gateway.now_us()),
            delay_s=will.properties.will_delay_interval or 0,
            expiry_s=will.properties.message_expiry_interval,
        )

    async def publish(
        self,
        principal: Principal,
        member: Attachment,
        publishes: Sequence[Publish],
        indexes: Sequence[int],
        ids: Mapping[int, str],
    ) -> dict[int, Refusal]:
        """As `iot_system.adapters.mqtt.intake.Intake.store`."""
        refusals: dict[int, Refusal] = {}
        messages: list[broker.Message] = []
        owners: list[int] = []
        now_us = self._gateway.now_us()
        for index in indexes:
            publish = publishes[index]
            try:
                await self._check(principal, publish.topic)
            except Retry as error:
                refusals[index] = refusal_of(error, self._pause_s)
            except IotError as error:
                refusals[index] = topic_refusal(error, self._pause_s)
            else:
                id_ = ids.get(index, "")
                messages.append(message_from(publish, publisher=member.key, now_us=now_us, id_=id_))
                owners.append(index)
        if messages:
            for owner, problem in zip(owners, await self._router.publish(member, messages), strict=True):
                if problem is not None:
                    refusals[owner] = refusal_of(problem, self._pause_s)
        return refusals

    async def _check(self, principal: Principal, topic: str) -> None:
        if not topic.startswith(PREFIX):
            raise Forbidden(f"topic {topic[:100]!r} is not below {PREFIX}, where applications' own topics are")
        check_size(topic)
        if not may_publish(principal, topic, await self._registered(principal, topic)):
            raise Forbidden(f"{principal.role} {principal.id!r} may not publish to {topic[:100]!r}")

    async def _registered(self, principal: Principal, topic: str) -> Device | None:
        device = device_to_look_up(principal, topic)
        return None if device is None else await self._gateway.registered(device)
