"""What becomes of sessions and messages when the broker underneath goes away, or loses what it had."""

from __future__ import annotations

import asyncio

from iot_system.adapters.nats.broker.streams import MESSAGES
from iot_system.errors import IotError
from iot_system.ports.broker import Message, Subscription, session_key
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings

from tests.contract.broker.pods import DEADLINE_S, PodClient, Pods
from tests.harness.nats import NatsServer


async def publish_until_durable(client: PodClient, *messages: Message) -> None:
    """As a client of QoS 1 does: what was refused is sent again."""
    async with asyncio.timeout(DEADLINE_S):
        left = list(messages)
        while left:
            outcomes = await client.pod.router.publish(client.member, left)
            left = [one for one, outcome in zip(left, outcomes, strict=True) if outcome is not None]


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed(server: NatsServer, pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    staying, moving = await one.connect("staying"), await one.connect("moving")
    for client in (staying, moving):
        await client.subscribe(Subscription("app/#", 1))
    publisher = await other.connect("p")
    await publish_until_durable(publisher, *(Message("app/a", b"%d" % number, 1) for number in range(50)))
    await moving.until(lambda: len(moving.received) >= 25)
    server.kill()
    moving.leave()
    publishing = asyncio.create_task(
        publish_until_durable(publisher, *(Message("app/a", b"%d" % number, 1) for number in range(50, 100)))
    )
    await asyncio.to_thread(server.start)
    await publishing
    await staying.until(lambda: len(set(staying.payloads())) == 100)
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                again = await other.connect("moving")
                break
            except IotError:
                continue
    await again.until(lambda: len({*moving.payloads(), *again.payloads()}) == 100)


async def test_a_log_that_was_lost_and_is_made_anew_goes_on_behind_the_old_one(server: NatsServer, pods: Pods) -> None:
    pod = await pods.start("pod")
    client, offline = await pod.connect("c"), await pod.connect("offline")
    for one in (client, offline):
        await one.subscribe(Subscription("app/a", 1))
    await client.publish(Message("app/a", b"1", 1))
    await client.get(b"1")
    await offline.get(b"1")
    offline.leave()
    before = await pod.backend.messages.last()
    await (await pods.administrator()).delete_stream(MESSAGES)
    outcomes = await pod.router.publish(client.member, [Message("app/a", b"lost", 1)])
    assert isinstance(outcomes[0], IotError)
    await make_streams(server.settings(), StreamSettings())
    await publish_until_durable(client, Message("app/a", b"2", 1))
    assert await pod.backend.messages.last() > before
    await client.get(b"1", b"2")
    again = await pod.connect("offline")
    assert again.present
    await again.get(b"2")


async def test_a_log_that_lost_its_end_goes_on_from_there(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    await client.subscribe(Subscription("app/a", 1))
    await client.publish(Message("app/a", b"1", 1), Message("app/a", b"2", 1))
    await client.get(b"1", b"2")
    jetstream = await pods.administrator()
    config = (await jetstream.stream_info(MESSAGES)).config
    await jetstream.delete_stream(MESSAGES)
    await jetstream.add_stream(config, first_seq=1)
    async with asyncio.timeout(DEADLINE_S):
        while client.payloads()[-1] != b"3":  # those that come before the loss is noticed are lost with it
            await publish_until_durable(client, Message("app/a", b"3", 1))
    assert await pod.backend.messages.last() < 1_000_000


async def test_a_session_that_has_run_out_is_swept_away(pods: Pods) -> None:
    pod = await pods.start("pod")
    short, long = await pod.connect("short", expiry_s=20), await pod.connect("long", expiry_s=3600)
    for one in (short, long):
        one.leave()
    pod.clock.ahead_s += 60
    async with asyncio.timeout(DEADLINE_S):
        while {one.key for one in await pod.backend.sessions.scan()} != {session_key("o", "long")}:
            pass


async def test_a_record_that_names_a_pod_which_does_not_have_the_session_is_given_up(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c", expiry_s=3600)
    pod.router._forget(client.member)  # as if its answer had got lost while it connected
    pod.clock.ahead_s += 31
    async with asyncio.timeout(DEADLINE_S):
        while [one.gateway for one in await pod.backend.sessions.scan()] != [""]:
            pass
