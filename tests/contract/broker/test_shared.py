"""Shared subscriptions: exactly one member gets each message, wherever the members are."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from iot_system.adapters.mqtt.broker import shared
from iot_system.adapters.mqtt.broker.shared import SHARE
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.nats.broker.streams import MESSAGES
from iot_system.ports.broker import GROUP_LIMIT, Message, Subscription, group_key

from tests.contract.broker.pods import DEADLINE_S, PodClient, Pods

SHARED = Subscription("app/#", 1, group="g")


def numbered(count: int, *, start: int = 0) -> list[Message]:
    return [Message("app/a", b"%d" % number, 1) for number in range(start, start + count)]


async def until_total(clients: list[PodClient], count: int) -> list[int]:
    """Wait until the members have got so many together; returns what they got."""
    waiting = [
        asyncio.create_task(one.until(lambda: sum(len(other.received) for other in clients) >= count))
        for one in clients
    ]
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
    return sorted(int(payload) for one in clients for payload in one.payloads())


async def groups(pods: Pods) -> set[str]:
    """The shared subscriptions that the broker keeps."""
    administrator = await pods.administrator()
    return {one.name for one in await administrator.consumers_info(MESSAGES)}


async def test_each_message_goes_to_exactly_one_member_over_all_pods(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    members = [await one.connect("a"), await one.connect("b"), await other.connect("c")]
    for member in members:
        await member.subscribe(SHARED)
    publisher = await other.connect("p")
    await publisher.publish(*numbered(300))
    assert await until_total(members, 300) == list(range(300))
    await publisher.publish(Message("app/a", b"300", 1))
    assert await until_total(members, 301) == list(range(301))
    assert all(member.received for member in members[:2])


async def test_what_a_member_leaves_behind_goes_to_another_one(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    leaving = await one.connect("a", acknowledges=False)
    await leaving.subscribe(SHARED)
    publisher = await other.connect("p")
    await publisher.publish(*numbered(10))
    await leaving.get(*(b"%d" % number for number in range(10)))
    staying = await other.connect("b")
    await staying.subscribe(SHARED)
    leaving.acknowledge(leaving.packet_ids[0])
    leaving.leave()
    assert await until_total([staying], 9) == list(range(1, 10))


async def test_messages_wait_for_a_member_whose_session_goes_on(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    client = await one.connect("a")
    await client.subscribe(SHARED)
    client.leave()
    publisher = await other.connect("p")
    await publisher.publish(*numbered(5))
    again = await other.connect("a")
    assert await until_total([again], 5) == list(range(5))


async def test_a_group_without_any_member_left_is_forgotten(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    client, last = await one.connect("a", expiry_s=0), await other.connect("b")
    await client.subscribe(SHARED)
    await last.subscribe(SHARED)
    publisher = await other.connect("p")
    client.leave()
    assert await other.router.unsubscribe(last.member, ["$share/g/app/#"]) == [True]
    async with asyncio.timeout(DEADLINE_S):
        while group_key("g", "app/#") in await groups(pods):
            pass
    await publisher.publish(*numbered(1))
    await last.subscribe(SHARED)
    await publisher.publish(*numbered(1, start=1))
    await last.get(b"1")


async def test_a_member_that_acknowledges_nothing_has_a_small_share_and_holds_up_nobody(pods: Pods) -> None:
    pod = await pods.start("pod")
    stuck = await pod.connect("a", acknowledges=False, window=10_000)
    await stuck.subscribe(SHARED)
    publisher = await pod.connect("p")
    await publisher.publish(*numbered(2 * GROUP_LIMIT))
    await stuck.until(lambda: len(stuck.received) == SHARE)
    busy = await pod.connect("b")
    await busy.subscribe(SHARED)
    rest = list(range(SHARE, 2 * GROUP_LIMIT))
    await busy.until(lambda: len(busy.received) == len(rest))
    assert sorted(map(int, busy.payloads())) == rest
    assert len(stuck.received) == SHARE


async def test_what_a_member_does_not_acknowledge_for_long_goes_to_another_one(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "HOLD_EVERY_S", 0.1)
    pod = await pods.start("pod")
    stuck = await pod.connect("a", acknowledges=False)
    await stuck.subscribe(SHARED)
    publisher = await pod.connect("p")
    await publisher.publish(*numbered(5))
    await stuck.get(*(b"%d" % number for number in range(5)))
    pod.clock.ahead_s += shared.PATIENCE_S
    busy = await pod.connect("b")
    await busy.subscribe(SHARED)
    assert await until_total([busy], 5) == list(range(5))
    await publisher.publish(*numbered(5, start=5))
    assert await until_total([busy], 10) == list(range(10)), "it gets nothing more meanwhile"
    stuck.acknowledge(*stuck.packet_ids)
    await publisher.publish(*numbered(10, start=10))
    await stuck.until(lambda: len(stuck.received) > 5)


async def test_a_message_that_no_member_has_room_for_is_not_fetched_again_and_again(pods: Pods) -> None:
    pod = await pods.start("pod", MqttLimits(queued_bytes=1000))
    client = await pod.connect("a", acknowledges=False)
    await client.subscribe(SHARED)
    publisher = await pod.connect("p")
    returned = await pod.client.subscribe("$JS.ACK.>")
    await publisher.publish(*[Message("app/a", b"%d" % number + bytes(600), 1) for number in range(40)])
    await client.until(lambda: len(client.received) == 1)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3.0):  # it waits for nothing: what must not happen has its time
            for _ in range(60):
                await anext(returned.messages)
            raise AssertionError("the same messages are fetched and given back all the time")
    client.acknowledge(*client.packet_ids)
    await client.until(lambda: len(client.received) == 2)
