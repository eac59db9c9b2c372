"""What subscribers get: which messages, with which QoS, flags and properties, and how many at a time."""

from __future__ import annotations

import pytest
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Options, PingReq, PingResp, PubAck, Publish
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ReasonCode

from tests.contract.conformance.guests import LEVELS, Guests

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("level", LEVELS)
async def test_a_message_comes_with_the_lower_of_its_own_qos_and_the_granted_one(guests: Guests, level: int) -> None:
    topic, publisher = guests.topic("t"), await guests.open(level=level)
    for asked in (0, 1, 2):
        subscriber = await guests.open(level=level)
        granted = (await subscriber.subscribe((topic, Options(asked)))).reason_codes
        assert granted == (min(asked, 1),)
        for qos in (0, 1, 2):
            await publisher.publish(topic, b"%d" % qos, qos)
        got = await subscriber.messages(3)  # those of different QoS may overtake each other
        assert {(one.payload, one.qos) for one in got} == {(b"%d" % qos, min(qos, asked, 1)) for qos in (0, 1, 2)}
        assert all(bool(one.packet_id) is bool(one.qos) for one in got)
        assert {one.topic for one in got} == {topic}


@pytest.mark.parametrize("level", LEVELS)
async def test_the_dup_flag_of_the_publisher_is_not_passed_on(guests: Guests, level: int) -> None:
    subscriber, publisher = await guests.open(level=level), await guests.open(level=level)
    await subscriber.subscribe(guests.topic("t"))
    await publisher.publish(guests.topic("t"), b"again", dup=True)
    assert not (await subscriber.message()).dup


@pytest.mark.parametrize("level", LEVELS)
async def test_messages_of_a_client_come_in_their_order(guests: Guests, level: int) -> None:
    subscriber, publisher = await guests.open(level=level), await guests.open(level=level, pod=1)
    await subscriber.subscribe(guests.topic("t"))
    numbers = [b"%d" % number for number in range(200)]
    await publisher.send(*(Publish(guests.topic("t"), one, 1, at + 1) for at, one in enumerate(numbers)))
    assert await subscriber.payloads(200) == numbers
    assert [(await publisher.answer(PubAck)).packet_id for _ in numbers] == list(range(1, 201))


@pytest.mark.parametrize("level", LEVELS)
async def test_of_overlapping_subscriptions_the_highest_qos_counts_and_one_copy_comes(
    guests: Guests, level: int
) -> None:
    subscriber = await guests.open(level=level)
    await subscriber.subscribe((guests.topic("#"), Options(0)), (guests.topic("t"), Options(1)))
    await subscriber.publish(guests.topic("t"), b"1")
    await subscriber.publish(guests.topic("u"), b"2")
    assert {(one.payload, one.qos) for one in await subscriber.messages(2)} == {(b"1", 1), (b"2", 0)}


async def test_the_identifiers_of_all_subscriptions_that_match_come_with_a_message(guests: Guests) -> None:
    subscriber = await guests.open()
    await subscriber.subscribe(guests.topic("#"), identifier=7)
    await subscriber.subscribe(guests.topic("+"), identifier=300_000)
    await subscriber.subscribe(guests.topic("t"))
    await subscriber.publish(guests.topic("t"), b"1")
    (identifiers,) = [one.properties.subscription_identifier for one in await subscriber.messages(1)]
    assert sorted(identifiers) == [7, 300_000]


@pytest.mark.parametrize("level", LEVELS)
async def test_topics_are_compared_character_by_character_and_passed_on_as_they_are(guests: Guests, level: int) -> None:
    """Also U+FEFF, which some take for a mark of the encoding, and letters that look the same."""
    names = ["a", "A", "a ", " a", "\ufeffa", "\u00e4", "a\u0308", "/a", "a/", "b//a", "\u00e5.*>%2E"]
    subscribers = []
    for name in names:
        subscribers.append(await guests.open(level=level))
        await subscribers[-1].subscribe(guests.topic(name))
    everything = await guests.open(level=level)
    await everything.subscribe(guests.topic("#"))
    for name in names:
        await everything.publish(guests.topic(name), name.encode())
    for name, subscriber in zip(names, subscribers, strict=True):
        got = await subscriber.message()
        assert (got.topic, got.payload) == (guests.topic(name), name.encode())
    assert [one.topic for one in await everything.messages(len(names))] == [guests.topic(name) for name in names]


async def test_what_a_publisher_says_of_a_message_is_passed_on_unaltered_and_in_its_order(guests: Guests) -> None:
    subscriber, publisher = await guests.open(), await guests.open(pod=1)
    await subscriber.subscribe(guests.topic("t"))
    said = Properties(
        payload_format_indicator=1,
        content_type="text/plain",
        response_topic=guests.topic("answer"),
        correlation_data=b"\x00\xff",
        user_property=(("b", "1"), ("a", "2"), ("b", "1"), ("", "")),
    )
    for qos in (0, 1, 2):
        await publisher.publish(guests.topic("t"), b"text", qos, properties=said)
    assert [one.properties for one in await subscriber.messages(3)] == [said] * 3


async def test_the_expiry_interval_comes_as_what_is_left_of_it(guests: Guests) -> None:
    subscriber = await guests.open()
    await subscriber.subscribe(guests.topic("t"))
    await subscriber.publish(guests.topic("t"), b"1", properties=Properties(message_expiry_interval=1000))
    left = (await subscriber.message()).properties.message_expiry_interval
    assert left is not None
    assert 900 < left <= 1000


async def test_a_message_that_has_expired_is_not_passed_on_but_its_exchange_is_completed(guests: Guests) -> None:
    subscriber, publisher = await guests.open(), await guests.open()
    await subscriber.subscribe(guests.topic("t"))
    for qos in (0, 1, 2):
        await publisher.publish(guests.topic("t"), b"expired", qos, properties=Properties(message_expiry_interval=0))
    await publisher.publish(guests.topic("t"), b"next")
    assert await subscriber.payloads(1) == [b"next"]


async def test_no_more_is_unacknowledged_than_the_client_takes_and_everything_else_is_answered(guests: Guests) -> None:
    subscriber, publisher = await guests.open(properties=Properties(receive_maximum=2)), await guests.open()
    await subscriber.subscribe(guests.topic("t"))
    for number in range(5):
        await publisher.publish(guests.topic("t"), b"%d" % number)
    first = await subscriber.messages(2, acknowledge=False)
    await publisher.publish(guests.topic("t"), b"of QoS 0", 0)
    await subscriber.send(PingReq())
    answers = [await subscriber.receive(), await subscriber.receive()]
    assert PingResp() in answers
    assert [one.qos for one in answers if isinstance(one, Publish)] == [0]
    await subscriber.send(PubAck(first[0].packet_id), PubAck(first[1].packet_id, ReasonCode.UNSPECIFIED_ERROR))
    assert await subscriber.payloads(3) == [b"2", b"3", b"4"]


async def test_a_message_too_large_for_the_client_is_passed_over(guests: Guests) -> None:
    small = Properties(maximum_packet_size=200, receive_maximum=1, session_expiry_interval=1000)
    subscriber = await guests.open("small", clean_start=False, properties=small)
    await subscriber.subscribe(guests.topic("t"))
    for qos in (0, 1):
        await subscriber.publish(guests.topic("t"), b"x" * 200, qos)
    await subscriber.publish(guests.topic("t"), b"fits")
    assert await subscriber.payloads(1) == [b"fits"]
    await subscriber.leave()
    again = await guests.open("small", clean_start=False, properties=Properties(session_expiry_interval=1000))
    await again.publish(guests.topic("t"), b"later")
    assert await again.payloads(1) == [b"later"]


async def test_topic_aliases_are_used_up_to_the_maximum_that_the_client_has_told(guests: Guests) -> None:
    subscriber, plain = await guests.open(properties=Properties(topic_alias_maximum=1)), await guests.open()
    for one in (subscriber, plain):
        await one.subscribe(guests.topic("#"))
    topics = [guests.topic("a"), guests.topic("a"), guests.topic("b")]
    for topic in topics:
        await plain.publish(topic, b"")
    got = [(one.topic, one.properties.topic_alias) for one in await subscriber.messages(3)]
    assert got == [(topics[0], 1), ("", 1), (topics[2], None)]
    assert [(one.topic, one.properties) for one in await plain.messages(3)] == [(one, Properties()) for one in topics]


async def test_no_local_keeps_away_what_the_client_itself_published(guests: Guests) -> None:
    client, other = await guests.open("c"), await guests.open(pod=1)
    await client.subscribe((guests.topic("t"), Options(1, no_local=True)))
    await client.publish(guests.topic("t"), b"own")
    await other.publish(guests.topic("t"), b"other")
    assert await client.payloads(1) == [b"other"]


@pytest.mark.parametrize("level", LEVELS)
async def test_a_subscription_takes_the_place_of_one_with_the_same_filter_and_nothing_is_lost(
    guests: Guests, level: int
) -> None:
    subscriber, publisher = await guests.open(level=level), await guests.open(level=level)
    await subscriber.subscribe((guests.topic("+"), Options(0)))
    await publisher.send(*(Publish(guests.topic("t"), b"%d" % number, 1, number + 1) for number in range(100)))
    await subscriber.subscribe((guests.topic("+"), Options(1)))
    await publisher.publish(guests.topic("t"), b"100")
    got = await subscriber.messages(101)
    for qos in (0, 1):
        numbers = [int(one.payload) for one in got if one.qos == qos]
        assert numbers == sorted(numbers)
    assert sorted(int(one.payload) for one in got) == list(range(101))
    assert {one.qos for one in got if one.payload == b"100"} == {1}


@pytest.mark.parametrize("level", LEVELS)
async def test_a_subscription_that_has_ended_gets_nothing_new_and_what_was_begun_is_completed(
    guests: Guests, level: int
) -> None:
    subscriber, publisher = await guests.open("s", level=level, keeps=True), await guests.open(level=level)
    await subscriber.subscribe(guests.topic("t"), guests.topic("marker"))
    await publisher.publish(guests.topic("t"), b"begun")
    begun = await subscriber.message(acknowledge=False)
    await subscriber.unsubscribe(guests.topic("t"))
    await publisher.publish(guests.topic("t"), b"too late")
    await publisher.publish(guests.topic("marker"), b"marker")
    assert (await subscriber.message(acknowledge=False)).payload == b"marker"
    subscriber.vanish()
    again = await guests.open("s", level=level, keeps=True)
    got = await again.messages(2)
    assert [(one.payload, one.dup) for one in got] == [(b"begun", True), (b"marker", True)]
    assert got[0].packet_id == begun.packet_id


async def test_nothing_of_mqtt_5_reaches_a_client_of_3_1_1(guests: Guests) -> None:
    old, new = await guests.open(level=MQTT_3_1_1), await guests.open(level=MQTT_5)
    await old.subscribe(guests.topic("t"))
    await new.publish(guests.topic("t"), b"1", properties=Properties(content_type="x", user_property=(("a", "b"),)))
    assert await old.message() == Publish(guests.topic("t"), b"1", 1, 1)
