"""Wills: published once at each end that was not in order, with everything that was said of them."""

from __future__ import annotations

import pytest
from iot_system.adapters.mqtt.packets import MQTT_5, Disconnect, PingResp, Will
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ReasonCode

from tests.contract.conformance.guests import LEVELS, WEEK_S, Guest, Guests

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def watching(guests: Guests, level: int) -> Guest:
    watcher = await guests.open(level=level)
    await watcher.subscribe(guests.topic("#"))
    return watcher


def will_of(guests: Guests, payload: bytes = b"gone", qos: int = 1) -> Will:
    return Will(guests.topic("will"), payload, qos)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_the_will_of_who_vanishes_is_published_with_its_qos(guests: Guests, level: int, qos: int) -> None:
    watcher = await watching(guests, level)
    (await guests.open(level=level, pod=1, will=will_of(guests, qos=qos))).vanish()
    message = await watcher.message()
    assert (message.topic, message.payload, message.qos) == (guests.topic("will"), b"gone", min(qos, 1))


@pytest.mark.parametrize("level", LEVELS)
async def test_the_will_of_who_leaves_in_order_is_not_published(guests: Guests, level: int) -> None:
    watcher = await watching(guests, level)
    client = await guests.open("c", level=level, will=will_of(guests))
    await client.leave()
    (await guests.open("c", level=level)).vanish()
    (await guests.open(level=level, will=will_of(guests, b"marker"))).vanish()
    assert await watcher.payloads(1) == [b"marker"]


@pytest.mark.parametrize("level", LEVELS)
async def test_without_a_will_nothing_is_published(guests: Guests, level: int) -> None:
    watcher = await watching(guests, level)
    (await guests.open(level=level)).vanish()
    (await guests.open(level=level, will=will_of(guests, b"marker"))).vanish()
    assert await watcher.payloads(1) == [b"marker"]


async def test_who_leaves_with_the_wish_for_its_will_gets_it_published(guests: Guests) -> None:
    watcher = await watching(guests, MQTT_5)
    client = await guests.open(will=will_of(guests))
    await client.send(Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE))
    assert await watcher.payloads(1) == [b"gone"]


@pytest.mark.parametrize("level", LEVELS)
async def test_the_will_of_who_breaks_a_rule_or_is_silent_too_long_is_published(guests: Guests, level: int) -> None:
    watcher = await watching(guests, level)
    breaks = await guests.open(level=level, will=will_of(guests, b"broke a rule"))
    await breaks.send(PingResp())
    assert await watcher.payloads(1) == [b"broke a rule"]
    await guests.open(level=level, keep_alive_s=1, will=will_of(guests, b"was silent"))
    assert await watcher.payloads(1) == [b"was silent"]


@pytest.mark.parametrize("level", LEVELS)
async def test_a_will_is_kept_where_it_says_so(guests: Guests, level: int) -> None:
    watcher = await watching(guests, level)
    for name, retain in (("passing", False), ("kept", True)):
        will = Will(guests.topic(name), name.encode(), 1, retain)
        (await guests.open(level=level, will=will)).vanish()
        assert not (await watcher.message()).retain
    while (found := await guests.kept(level)) != [(b"kept", 1)]:
        assert found == [], "it is kept a moment after it was published"


@pytest.mark.parametrize("level", LEVELS)
async def test_a_will_is_published_once(guests: Guests, level: int) -> None:
    watcher = await watching(guests, level)
    (await guests.open("c", level=level, keeps=True, will=will_of(guests))).vanish()
    assert await watcher.payloads(1) == [b"gone"]
    (await guests.open("c", level=level, keeps=True)).vanish()
    (await guests.open(level=level, will=will_of(guests, b"marker"))).vanish()
    assert await watcher.payloads(1) == [b"marker"]


async def test_what_is_said_of_a_will_comes_with_it_in_its_order(guests: Guests) -> None:
    watcher = await watching(guests, MQTT_5)
    said = Properties(
        payload_format_indicator=1,
        content_type="text/plain",
        response_topic=guests.topic("answer"),
        correlation_data=b"\x00\xff",
        user_property=(("b", "1"), ("a", "2"), ("b", "1")),
    )
    will = Will(guests.topic("will"), b"gone", 1, properties=said)
    (await guests.open(will=will)).vanish()
    assert (await watcher.message()).properties == said


async def test_a_client_that_is_back_before_the_delay_has_passed_takes_its_will_along(guests: Guests) -> None:
    watcher = await watching(guests, MQTT_5)
    delayed = Will(guests.topic("will"), b"gone", 1, properties=Properties(will_delay_interval=600))
    keeps = Properties(session_expiry_interval=WEEK_S)
    (await guests.open("c", clean_start=False, properties=keeps, will=delayed)).vanish()
    assert (await guests.open("c", clean_start=False, properties=keeps, pod=1)).connack.session_present
    (await guests.open(will=will_of(guests, b"marker"))).vanish()
    assert await watcher.payloads(1) == [b"marker"]


async def test_a_will_is_due_with_the_end_of_its_session_however_long_its_delay(guests: Guests) -> None:
    watcher = await watching(guests, MQTT_5)
    delayed = Will(guests.topic("will"), b"gone", 1, properties=Properties(will_delay_interval=600))
    (await guests.open("c", will=delayed)).vanish()
    assert await watcher.payloads(1) == [b"gone"]
