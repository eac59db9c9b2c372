"""Sessions: what is kept, for how long, what comes again, and that any pod goes on with them."""

from __future__ import annotations

import pytest
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Disconnect, PubAck, PubComp, Publish, PubRec, PubRel
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ReasonCode

from tests.contract.conformance.guests import LEVELS, Guests

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("level", LEVELS)
async def test_a_session_is_told_to_be_there_and_has_its_subscriptions_and_what_it_missed(
    guests: Guests, level: int
) -> None:
    publisher = await guests.open(level=level)
    client = await guests.open("c", level=level, keeps=True)
    assert not client.connack.session_present
    await client.subscribe(guests.topic("#"))
    await client.leave()
    for qos in (1, 2, 1):
        await publisher.publish(guests.topic("t"), b"%d" % qos, qos)
    again = await guests.open("c", level=level, keeps=True, pod=1)
    assert again.connack.session_present
    got = await again.messages(3)
    assert [(one.payload, one.qos, one.dup) for one in got] == [(b"1", 1, False), (b"2", 1, False), (b"1", 1, False)]
    await publisher.publish(guests.topic("t"), b"live")
    assert await again.payloads(1) == [b"live"]


@pytest.mark.parametrize("level", LEVELS)
async def test_a_clean_start_begins_anew_and_nothing_of_the_old_session_comes(guests: Guests, level: int) -> None:
    client = await guests.open("c", level=level, keeps=True)
    await client.subscribe(guests.topic("t"))
    await client.publish(guests.topic("t"), b"not acknowledged")
    await client.message(acknowledge=False)
    client.vanish()
    fresh = await guests.open("c", level=level, clean_start=True)
    assert not fresh.connack.session_present
    await fresh.subscribe(guests.topic("marker"))
    await fresh.publish(guests.topic("t"), b"nobody subscribes")
    await fresh.publish(guests.topic("marker"), b"marker")
    assert await fresh.payloads(1) == [b"marker"]
    await fresh.leave()
    assert not (await guests.open("c", level=level, keeps=True)).connack.session_present


async def test_a_session_without_an_expiry_interval_ends_with_its_connection(guests: Guests) -> None:
    client = await guests.open("c", clean_start=False, properties=Properties())
    await client.subscribe(guests.topic("t"))
    await client.leave()
    assert not (await guests.open("c", clean_start=False, properties=Properties())).connack.session_present


@pytest.mark.parametrize("level", LEVELS)
async def test_a_session_belongs_to_its_client_identifier(guests: Guests, level: int) -> None:
    client = await guests.open("c", level=level, keeps=True)
    await client.subscribe(guests.topic("t"))
    await client.leave()
    assert not (await guests.open("other", level=level, keeps=True)).connack.session_present
    assert (await guests.open("c", level=level, keeps=True)).connack.session_present


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("pod", [0, 1])
async def test_what_was_not_acknowledged_comes_again_marked_under_its_identifier_and_in_order(
    guests: Guests, level: int, pod: int
) -> None:
    client = await guests.open("c", level=level, keeps=True)
    await client.subscribe(guests.topic("t"))
    for number in range(4):
        await client.publish(guests.topic("t"), b"%d" % number)
    sent = await client.messages(4, acknowledge=False)
    assert not any(one.dup for one in sent)
    assert len({one.packet_id for one in sent}) == 4
    await client.send(PubAck(sent[1].packet_id))
    await client.publish(guests.topic("elsewhere"), b"")  # answered behind the acknowledgement
    client.vanish()
    again = await guests.open("c", level=level, keeps=True, pod=pod)
    got = await again.messages(3)
    assert [(one.payload, one.packet_id) for one in got] == [(sent[at].payload, sent[at].packet_id) for at in (0, 2, 3)]
    assert all(one.dup for one in got)
    await again.leave()
    last = await guests.open("c", level=level, keeps=True)
    await last.publish(guests.topic("t"), b"marker")
    assert await last.payloads(1) == [b"marker"]


async def test_a_message_that_the_client_has_refused_is_not_sent_again(guests: Guests) -> None:
    client = await guests.open("c", keeps=True)
    await client.subscribe(guests.topic("t"))
    await client.publish(guests.topic("t"), b"refused")
    await client.send(PubAck((await client.message(acknowledge=False)).packet_id, ReasonCode.QUOTA_EXCEEDED))
    await client.leave()
    again = await guests.open("c", keeps=True)
    await again.publish(guests.topic("t"), b"marker")
    assert await again.payloads(1) == [b"marker"]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("pod", [0, 1])
async def test_qos_2_that_is_sent_again_on_another_connection_is_published_once(
    guests: Guests, level: int, pod: int
) -> None:
    watcher = await guests.open(level=level)
    await watcher.subscribe(guests.topic("t"))
    client = await guests.open("c", level=level, keeps=True)
    await client.send(Publish(guests.topic("t"), b"once", 2, 9))
    assert await client.answer(PubRec) == PubRec(9)
    client.vanish()
    again = await guests.open("c", level=level, keeps=True, pod=pod)
    await again.send(Publish(guests.topic("t"), b"once", 2, 9, dup=True))
    assert await again.answer(PubRec) == PubRec(9)
    await again.send(PubRel(9))
    assert await again.answer(PubComp) == PubComp(9)
    await again.publish(guests.topic("t"), b"marker")
    assert await watcher.payloads(2) == [b"once", b"marker"]


async def test_a_client_of_mqtt_5_may_end_its_session_when_it_leaves(guests: Guests) -> None:
    client = await guests.open("c", level=MQTT_5, keeps=True)
    await client.subscribe(guests.topic("t"))
    await client.send(Disconnect(properties=Properties(session_expiry_interval=0)))
    await client.receive_rest()
    assert not (await guests.open("c", level=MQTT_5, keeps=True)).connack.session_present


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("pod", [0, 1])
async def test_a_second_connection_gets_the_session_and_ends_the_first_wherever_they_are(
    guests: Guests, level: int, pod: int
) -> None:
    first = await guests.open("c", level=level, keeps=True)
    await first.subscribe(guests.topic("t"))
    second = await guests.open("c", level=level, keeps=True, pod=pod)
    assert second.connack.session_present
    goodbye = [one.reason_code for one in await first.receive_rest() if isinstance(one, Disconnect)]
    assert goodbye == ([] if level == MQTT_3_1_1 else [ReasonCode.SESSION_TAKEN_OVER])
    await second.publish(guests.topic("t"), b"1")
    assert await second.payloads(1) == [b"1"]
