"""One client identifier, several connections and pods: one of them has the session."""

from __future__ import annotations

import asyncio
import random

import pytest
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.errors import IotError, Overloaded
from iot_system.ports.broker import Message, SessionTaken, Subscription, Will, session_key

from tests.contract.broker.pods import DEADLINE_S, Pod, PodClient, Pods

WILL = Will(Message("app/will", b"gone", 1))


async def watching(pod: Pod) -> PodClient:
    client = await pod.connect("watching")
    await client.subscribe(Subscription("app/will", 1))
    return client


async def test_a_client_that_connects_again_on_the_same_pod_takes_its_session_over(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    await client.subscribe(Subscription("app/a", 1))
    again = await pod.connect("c")
    assert (client.is_taken_over, again.present) == (True, True)
    await again.publish(Message("app/a", b"1", 1))
    await again.get(b"1")
    assert client.received == []


async def test_a_session_that_is_busy_on_one_pod_goes_on_at_another_without_a_loss(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    publisher = await other.connect("p")
    client = await one.connect("c", window=10)
    await client.subscribe(Subscription("app/#", 1))
    seen: list[bytes] = []
    for turn in range(6):
        messages = [Message("app/a", b"%d" % (turn * 100 + number), 1) for number in range(100)]
        publishing = asyncio.create_task(publisher.publish(*messages))
        before = client
        client = await (other if turn % 2 == 0 else one).connect("c", window=10)
        assert before.is_taken_over
        assert client.present
        await publishing
        seen += before.payloads()
    await client.until(lambda: client.payloads()[-1:] == [b"599"])
    seen += client.payloads()
    assert sorted(set(map(int, seen))) == list(range(600))


async def test_a_clean_start_ends_the_session_on_the_other_pod(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    client = await one.connect("c")
    await client.subscribe(Subscription("app/a", 1))
    again = await other.connect("c", is_new=True)
    assert (client.is_taken_over, again.present) == (True, False)
    assert again.member.subscriptions == {}


async def test_a_take_over_publishes_the_will_of_the_old_connection_unless_its_delay_lets_the_session_go_on(
    pods: Pods,
) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    watcher = await watching(other)
    await one.connect("now", will=Will(Message("app/will", b"now", 1)))
    await one.connect("delayed", will=Will(Message("app/will", b"delayed", 1), 60))
    await one.connect("ended", will=Will(Message("app/will", b"ended", 1), 60))
    await other.connect("delayed")
    await other.connect("now")
    await other.connect("ended", is_new=True)
    await watcher.get(b"now", b"ended")


async def test_a_pod_that_does_not_answer_is_passed_over_and_finds_out_when_it_writes(pods: Pods) -> None:
    silent, other = await pods.start("silent", answers=False), await pods.start("other")
    client = await silent.connect("c")
    await client.subscribe(Subscription("app/a", 1))
    again = await other.connect("c")
    assert again.present
    with pytest.raises(SessionTaken):
        await client.subscribe(Subscription("app/b", 1))
    assert client.is_taken_over
    assert not again.is_taken_over


async def test_a_pod_that_gives_a_session_up_too_late_does_no_harm(pods: Pods) -> None:
    slow, other = await pods.start("slow"), await pods.start("other")
    client = await slow.connect("c")
    async with slow.router._locked(client.member.key):
        again = await other.connect("c")
    await client.until(lambda: client.is_taken_over)
    await again.subscribe(Subscription("app/a", 1))
    await again.publish(Message("app/a", b"1", 1))
    await again.get(b"1")


async def test_a_session_ends_with_its_connection_or_when_its_expiry_interval_has_passed(pods: Pods) -> None:
    pod = await pods.start("pod")
    short, ends = await pod.connect("short", expiry_s=30), await pod.connect("ends", expiry_s=0)
    for client in (short, ends):
        await client.subscribe(Subscription("app/a", 1))
        client.leave()
    assert not (await pod.connect("ends", expiry_s=0)).present
    again = await pod.connect("short", expiry_s=30)
    assert again.present
    again.leave()
    pod.clock.ahead_s += 31
    assert not (await pod.connect("short")).present


async def test_a_delayed_will_is_published_when_its_client_does_not_come_back(pods: Pods) -> None:
    pod = await pods.start("pod")
    watcher = await watching(pod)
    late = await pod.connect("late", will=Will(Message("app/will", b"late", 1), 1))
    back = await pod.connect("back", will=Will(Message("app/will", b"back", 1), 1))
    in_order = await pod.connect("in-order", will=WILL)
    for client in (late, back):
        client.leave(with_will=True)
    in_order.leave()
    await pod.connect("back")
    await watcher.get(b"late")


async def test_the_wills_of_a_dead_pod_are_published_exactly_once(pods: Pods) -> None:
    dying, *survivors = [await pods.start(name) for name in ("dying", "second", "third")]
    watcher = await watching(survivors[0])
    for number in range(20):
        will = Will(Message("app/will", b"%d" % number, 1))
        await dying.connect(f"c{number}", will=will, expiry_s=60 * (number % 2))
    await pods.crash(dying)
    for pod in survivors:
        pod.clock.ahead_s += 16
        for name in ("second", "third"):
            await pod.requests.alive(name)
    await watcher.until(lambda: len(watcher.received) >= 20)
    async with asyncio.timeout(DEADLINE_S):
        while any(one.gateway == "dying" for one in await survivors[0].backend.sessions.scan()):
            pass
    marker = await survivors[1].connect("marker")
    await marker.publish(Message("app/will", b"99", 1))
    await watcher.until(lambda: watcher.payloads()[-1] == b"99")
    assert sorted(map(int, watcher.payloads())) == [*range(20), 99]
    again = await survivors[1].connect("c1")
    assert again.present


@pytest.mark.parametrize("seed", range(10))
async def test_of_many_connections_at_once_exactly_one_has_the_session(pods: Pods, seed: int) -> None:
    chance = random.Random(seed)
    running = [await pods.start(name) for name in ("one", "two", "three")]
    clients: list[PodClient] = []

    async def connect() -> None:
        await asyncio.sleep(chance.random() / 20)
        try:
            clients.append(await chance.choice(running).connect("c", is_new=chance.random() < 0.3))
        except IotError:
            return

    await asyncio.gather(*(connect() for _ in range(12)))
    await asyncio.gather(*(pod.router.verify(one) for pod in running for one in list(pod.router.attached.values())))
    remaining = [one for one in clients if not one.is_taken_over]
    assert len(remaining) == 1
    assert [one for pod in running for one in pod.router.attached.values()] == [remaining[0].member]
    found = await running[0].backend.sessions.load(session_key("o", "c"))
    assert found is not None
    assert found[0].connection == remaining[0].member.record.connection


async def test_an_owner_keeps_so_many_sessions_and_no_more_over_all_pods(pods: Pods) -> None:
    limits = MqttLimits(sessions=3)
    pod, other = await pods.start("pod", limits), await pods.start("other", limits)
    clients = [await pod.connect(f"c{number}") for number in range(3)]
    with pytest.raises(Overloaded, match="3 sessions are kept for you; the limit is 3"):
        await pod.connect("one-more")
    await pod.broker._upkeep._sweep()
    with pytest.raises(Overloaded):
        await pod.connect("another")
    await pod.connect("passing", expiry_s=0)
    clients[0].leave()
    assert (await pod.connect("c0")).present
    await other.broker._upkeep._sweep()
    with pytest.raises(Overloaded, match="the limit is 3"):
        await other.connect("one-more")
    clients[1].member.session.expiry_interval_s = 0
    clients[1].leave()
    await pod.connect("c1", expiry_s=0)  # it is gone
    await pod.connect("one-more")
