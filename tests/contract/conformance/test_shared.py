"""Shared subscriptions: which filters are valid, with which QoS messages come, and what a refusal means."""

from __future__ import annotations

import asyncio

import pytest
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, Options, PubAck
from iot_system.adapters.mqtt.reasons import ReasonCode

from tests.contract.conformance.guests import LEVELS, Guest, Guests

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("filter_", ["$share", "$share/", "$share/g", "$share/g/", "$share//app/a", "$share/+/app/a"])
async def test_a_share_without_a_name_or_a_filter_is_refused(guests: Guests, level: int, filter_: str) -> None:
    client = await guests.open(level=level)
    (code,) = (await client.subscribe(filter_)).reason_codes
    refusals = [0x80] if level == MQTT_3_1_1 else [ReasonCode.TOPIC_FILTER_INVALID, ReasonCode.NOT_AUTHORIZED]
    assert code in refusals


@pytest.mark.parametrize("level", LEVELS)
async def test_a_member_gets_messages_with_the_qos_that_it_was_granted(guests: Guests, level: int) -> None:
    publisher = await guests.open(level=level)
    for qos in (0, 1):
        member = await guests.open(level=level, pod=1)
        shared = f"$share/{qos}/{guests.topic('#')}"
        assert (await member.subscribe((shared, Options(qos)))).reason_codes == (qos,)
        await publisher.publish(guests.topic("t"), b"1", 2)
        assert (await member.message()).qos == qos
        await member.leave()


async def test_a_message_that_a_member_has_refused_goes_to_no_other_one(guests: Guests) -> None:
    shared, numbers = f"$share/g/{guests.topic('#')}", [b"%d" % number for number in range(10)]
    refusing, other, publisher = await guests.open(), await guests.open(pod=1), await guests.open()
    await refusing.subscribe(shared)
    await publisher.publish(guests.topic("t"), b"refused")
    message = await refusing.message(acknowledge=False)
    await other.subscribe(shared)
    await refusing.send(PubAck(message.packet_id, ReasonCode.NOT_AUTHORIZED))
    for one in numbers:
        await publisher.publish(guests.topic("t"), one)
    got: list[bytes] = []

    async def collect(guest: Guest) -> None:
        while len(got) < len(numbers):
            got.append((await guest.message()).payload)

    collecting = [asyncio.create_task(collect(one)) for one in (refusing, other)]
    _, left = await asyncio.wait(collecting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    assert sorted(got) == numbers


async def test_no_retained_message_comes_by_a_shared_subscription(guests: Guests) -> None:
    client = await guests.open()
    await client.publish(guests.topic("t"), b"kept", retain=True)
    await client.subscribe(f"$share/g/{guests.topic('#')}")
    await client.publish(guests.topic("t"), b"next")
    assert await client.payloads(1) == [b"next"]
