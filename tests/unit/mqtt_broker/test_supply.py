"""What a member is owed, where the program itself has an error: no server can be made to show one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from iot_system.adapters.mqtt.broker.attachment import Attachment, session_from
from iot_system.adapters.mqtt.broker.shared import SharedMembers
from iot_system.adapters.mqtt.broker.supply import Supply
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery
from iot_system.ports.broker import SessionRecord, Shared, Stored, Subscription
from iot_system.ports.clock import SystemClock


class BrokenRetained:
    async def of(self, topic: str) -> Stored | None:
        raise KeyError(topic)


class Watching:
    """A client that waits for its end."""

    def __init__(self) -> None:
        self.end = asyncio.Event()

    def deliver(self, messages: Sequence[Delivery]) -> list[Delivery]:
        raise AssertionError("nothing can be delivered here")

    def taken_over(self) -> None:
        raise AssertionError("nobody takes it over here")

    def failed(self) -> None:
        self.end.set()


class BrokenGroup:
    async def fetch(self, limit: int, *, wait_s: float) -> list[Shared]:
        raise KeyError(limit)

    async def close(self) -> None:
        pass


async def test_members_of_a_shared_subscription_that_cannot_be_read_are_disconnected() -> None:
    client, record = Watching(), SessionRecord(owner="o", client_id="c")
    members = SharedMembers(BrokenGroup(), SystemClock())  # type: ignore[arg-type]
    members.start()
    members.join(Attachment(client, session_from(record, []), record, 1, MqttLimits()), Subscription("a", group="g"))
    async with asyncio.timeout(5):
        await client.end.wait()
        await members.stop()


async def test_a_client_that_cannot_be_given_what_it_is_owed_is_disconnected() -> None:
    record = SessionRecord(owner="o", client_id="c", subscriptions=(Subscription("app/a", 1, retained=0),))
    client = Watching()
    member = Attachment(client, session_from(record, []), record, 1, MqttLimits())
    supply = Supply(None, BrokenRetained(), None, SystemClock())  # type: ignore[arg-type]
    supply.start(member)
    async with asyncio.timeout(5):
        await client.end.wait()
