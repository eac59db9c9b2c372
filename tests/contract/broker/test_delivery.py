"""What members get: live, later, elsewhere, retained."""

from __future__ import annotations

from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Received
from iot_system.ports.broker import Message, Subscription

from tests.contract.broker.pods import Pods


def numbered(topic: str, count: int, *, qos: int = 1, start: int = 0) -> list[Message]:
    return [Message(topic, b"%d" % number, qos) for number in range(start, start + count)]


async def test_a_message_reaches_the_subscribers_of_all_pods(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    here, there = await one.connect("here"), await other.connect("there")
    await here.subscribe(Subscription("app/+", 1))
    await there.subscribe(Subscription("app/a", 1))
    await there.publish(Message("app/a", b"1", 1), Message("app/b", b"2", 1))
    await here.get(b"1", b"2")
    await there.get(b"1")


async def test_what_was_published_before_a_subscription_does_not_come_and_what_comes_after_it_does(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    await client.publish(Message("app/a", b"0", 1))
    await client.subscribe(Subscription("app/a", 1))
    await client.publish(Message("app/a", b"1", 1), Message("app/b", b"2", 1))
    await client.subscribe(Subscription("app/b", 1))
    await client.publish(Message("app/b", b"3", 1))
    await client.get(b"1", b"3")


async def test_overlapping_subscriptions_give_one_copy_with_the_highest_qos_and_all_identifiers(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    await client.subscribe(Subscription("app/#", 0, identifier=1), Subscription("app/+", 1, identifier=2))
    await client.publish(Message("app/a", b"1", 2))
    await client.get(b"1")
    (message,) = client.received
    assert message.qos == 1
    assert sorted(message.properties.subscription_identifier) == [1, 2]


async def test_no_local_keeps_a_clients_own_messages_away(pods: Pods) -> None:
    pod = await pods.start("pod")
    client, other = await pod.connect("c"), await pod.connect("other")
    await client.subscribe(Subscription("app/a", 1, no_local=True))
    await client.publish(Message("app/a", b"own", 1, publisher=client.member.key))
    await other.publish(Message("app/a", b"other", 1, publisher=other.member.key))
    await client.get(b"other")


async def test_the_retain_flag_stays_only_as_published(pods: Pods) -> None:
    pod = await pods.start("pod")
    plain, as_published = await pod.connect("plain"), await pod.connect("as-published")
    await plain.subscribe(Subscription("app/a", 1))
    await as_published.subscribe(Subscription("app/a", 1, retain_as_published=True))
    await plain.publish(Message("app/a", b"1", 1, retain=True))
    await plain.get(b"1")
    await as_published.get(b"1")
    assert [one.received[0].retain for one in (plain, as_published)] == [False, True]


async def test_retained_messages_come_with_a_subscription_by_its_retain_handling(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    await client.publish(*(Message(topic, b"1", 1, retain=True) for topic in ("app/a", "app/b", "app/c", "app/d")))
    await client.publish(Message("app/b", b"", 1, retain=True))
    await client.subscribe(Subscription("app/+", 1, retain_handling=2), Subscription("app/a", 1, retain_handling=1))
    await client.until(lambda: len(client.received) == 1)
    await client.subscribe(Subscription("app/a", 1, retain_handling=1))  # not a new one
    await client.subscribe(Subscription("app/+", 1, retain_handling=0))
    await client.until(lambda: len(client.received) == 4)
    # Messages of different topics have no order (4.6).
    assert sorted((one.topic, one.retain) for one in client.received) == [
        ("app/a", True),
        ("app/a", True),
        ("app/c", True),
        ("app/d", True),
    ]


async def test_retained_messages_come_though_another_subscription_ends_before_its_own_came(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    topics = ["app/a", "app/b", "app/c", "app/d"]
    await client.publish(*(Message(topic, b"1", 1, retain=True) for topic in topics))
    await client.subscribe(*(Subscription(topic, 1) for topic in topics))
    await client.until(lambda: bool(client.received))
    await pod.router.unsubscribe(client.member, ["app/c"])
    await client.until(lambda: {"app/a", "app/b", "app/d"} <= {one.topic for one in client.received})
    assert not client.has_failed


async def test_more_retained_messages_than_a_client_has_room_for_come_one_after_the_other(pods: Pods) -> None:
    pod = await pods.start("pod", MqttLimits(queued_messages=10))
    client = await pod.connect("c", window=3)
    await client.publish(*(Message(f"app/{number}", b"%d" % number, 1, retain=True) for number in range(200)))
    await client.subscribe(Subscription("app/#", 1))
    await client.until(lambda: len(client.received) >= 200)
    assert sorted(map(int, client.payloads())) == list(range(200))


async def test_an_offline_session_finds_on_another_pod_what_it_missed(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    publisher = await one.connect("p")
    client = await one.connect("c")
    await client.subscribe(Subscription("app/#", 1))
    await publisher.publish(*numbered("app/a", 3))
    await client.get(b"0", b"1", b"2")
    client.leave()
    await publisher.publish(*numbered("app/a", 100, start=3), Message("app/a", b"of QoS 0", 0))
    again = await other.connect("c")
    assert again.present
    await publisher.publish(*numbered("app/a", 20, start=103))
    await again.get(*(b"%d" % number for number in range(3, 123)))


async def test_what_was_not_acknowledged_comes_again_under_its_packet_id_and_in_order(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    client = await one.connect("c", acknowledges=False, window=4)
    await client.publish(Message("app/kept", b"kept", 1, retain=True))
    await client.subscribe(Subscription("app/#", 1, identifier=9))
    await client.until(lambda: len(client.received) == 1)
    await client.publish(*numbered("app/a", 8))
    await client.get(b"kept", b"0", b"1", b"2")
    client.acknowledge(client.packet_ids[1])
    await client.get(b"kept", b"0", b"1", b"2", b"3")
    client.leave()
    again = await other.connect("c", window=100)
    await again.get(b"kept", b"1", b"2", b"3", b"4", b"5", b"6", b"7")
    assert again.packet_ids[:4] == [client.packet_ids[index] for index in (0, 2, 3, 4)]
    assert {one.properties.subscription_identifier for one in again.received} == {(9,)}
    assert [one.retain for one in again.received] == [True, *[False] * 7]


async def test_a_slow_client_loses_nothing_of_qos_1_and_holds_nobody_up(pods: Pods) -> None:
    pod = await pods.start("pod", MqttLimits(queued_messages=20))
    slow, fast = await pod.connect("slow", acknowledges=False, window=5), await pod.connect("fast")
    await slow.subscribe(Subscription("app/#", 1))
    await fast.subscribe(Subscription("app/#", 1))
    await fast.publish(*numbered("app/a", 500))
    await fast.get(*(b"%d" % number for number in range(500)))
    session = slow.member.session
    assert len(session.in_flight) + len(session.pending) <= 20
    slow.acknowledges = True
    slow.acknowledge(*slow.packet_ids)
    await slow.get(*(b"%d" % number for number in range(500)))
    await fast.publish(Message("app/a", b"live again", 1))
    await slow.until(lambda: slow.payloads()[-1] == b"live again")


async def test_an_expired_message_does_not_come(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    await client.subscribe(Subscription("app/a", 1))
    await client.publish(Message("app/a", b"old", 1, expires_us=1), Message("app/a", b"new", 1))
    await client.get(b"new")


async def test_a_message_of_qos_2_that_is_sent_again_on_another_pod_is_stored_once(pods: Pods) -> None:
    one, other = await pods.start("one"), await pods.start("other")
    subscriber = await one.connect("s")
    await subscriber.subscribe(Subscription("app/a", 1))
    client = await one.connect("c")
    client.member.session.inbound[7] = Received("c-1")
    await client.publish(Message("app/a", b"once", 2, id="c-1"))
    again = await other.connect("c")
    assert again.member.session.inbound == {7: Received("c-1")}
    await again.publish(Message("app/a", b"once", 2, id="c-1"), Message("app/a", b"next", 1))
    await subscriber.get(b"once", b"next")


async def test_subscriptions_that_ended_get_nothing(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c")
    await client.subscribe(Subscription("app/a", 1), Subscription("app/b", 1))
    assert await pod.router.unsubscribe(client.member, ["app/a", "app/x"]) == [True, False]
    await client.publish(Message("app/a", b"1", 1), Message("app/b", b"2", 1))
    await client.get(b"2")


async def test_a_session_goes_on_without_what_its_client_may_no_longer_subscribe_to(pods: Pods) -> None:
    pod = await pods.start("pod")
    client = await pod.connect("c", acknowledges=False)
    await client.subscribe(Subscription("app/a", 1), Subscription("app/b", 1), Subscription("app/b", 1, group="g"))
    publisher = await pod.connect("p")
    await publisher.publish(*numbered("app/b", 1), *numbered("app/a", 1, start=1))
    await client.until(lambda: len(client.received) == 3)
    client.leave()
    await publisher.publish(*numbered("app/b", 1, start=2), *numbered("app/a", 1, start=3))
    again = await pod.connect("c", may_subscribe=lambda filter_: filter_ != "app/b")
    assert again.present
    await publisher.publish(*numbered("app/b", 1, start=4), *numbered("app/a", 1, start=5))
    await again.get(b"1", b"3", b"5")
    assert list(again.member.subscriptions) == ["app/a"]
    again.leave()
    anew = await pod.connect("c")
    assert list(anew.member.subscriptions) == ["app/a"]
