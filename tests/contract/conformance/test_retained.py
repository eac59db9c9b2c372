"""Retained messages: which one is kept, who gets it, and with which flag."""

from __future__ import annotations

import pytest
from iot_system.adapters.mqtt.packets import Options

from tests.contract.conformance.guests import LEVELS, Guest, Guests

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def gets(guest: Guest) -> tuple[bytes, bool]:
    message = await guest.message()
    return message.payload, message.retain


@pytest.mark.parametrize("level", LEVELS)
async def test_the_last_message_with_the_flag_is_kept_with_its_qos(guests: Guests, level: int) -> None:
    client = await guests.open(level=level)
    await client.publish(guests.topic("t"), b"1", 1, retain=True)
    assert await guests.kept(level) == [(b"1", 1)]
    await client.publish(guests.topic("t"), b"2", 2, retain=True)
    assert await guests.kept(level) == [(b"2", 1)]
    await client.publish(guests.topic("t"), b"3", 0, retain=True)
    while (found := await guests.kept(level)) != [(b"3", 0)]:
        assert found == [(b"2", 1)], "nobody says when QoS 0 has arrived"


@pytest.mark.parametrize("level", LEVELS)
async def test_a_message_without_the_flag_changes_nothing_of_what_is_kept(guests: Guests, level: int) -> None:
    client = await guests.open(level=level)
    await client.publish(guests.topic("t"), b"kept", retain=True)
    await client.publish(guests.topic("t"), b"passing")
    await client.publish(guests.topic("t"), b"")
    await client.publish(guests.topic("u"), b"passing")
    assert await guests.kept(level) == [(b"kept", 1)]


@pytest.mark.parametrize("level", LEVELS)
async def test_an_empty_message_is_passed_on_and_nothing_is_kept_after_it(guests: Guests, level: int) -> None:
    client = await guests.open(level=level)
    await client.subscribe(guests.topic("t"))
    for payload in (b"1", b""):
        await client.publish(guests.topic("t"), payload, retain=True)
    assert await client.payloads(2) == [b"1", b""]
    assert await guests.kept(level) == []


@pytest.mark.parametrize("level", LEVELS)
async def test_who_had_subscribed_before_gets_a_message_without_the_flag(guests: Guests, level: int) -> None:
    client = await guests.open(level=level)
    await client.subscribe(guests.topic("t"))
    await client.publish(guests.topic("t"), b"1", retain=True)
    assert await gets(client) == (b"1", False)


async def test_retain_as_published_leaves_the_flag_as_it_was(guests: Guests) -> None:
    client = await guests.open()
    await client.subscribe((guests.topic("t"), Options(1, retain_as_published=True)))
    await client.publish(guests.topic("t"), b"with", retain=True)
    await client.publish(guests.topic("t"), b"without")
    assert [await gets(client), await gets(client)] == [(b"with", True), (b"without", False)]


async def test_retain_handling_says_at_which_subscription_they_come(guests: Guests) -> None:
    client, topic, marker = await guests.open(), guests.topic("t"), guests.topic("marker")
    for one in (topic, marker):
        await client.publish(one, b"kept", retain=True)
    comes = {}
    for handling in (2, 1, 0):
        for attempt in ("new", "again"):
            await client.subscribe((topic, Options(1, retain_handling=handling)), marker)
            first = await client.message()
            comes[handling, attempt] = first.topic == topic
            if first.topic == topic:
                assert (await client.message()).topic == marker
        await client.unsubscribe(topic)
    assert comes == {
        (2, "new"): False,
        (2, "again"): False,
        (1, "new"): True,
        (1, "again"): False,
        (0, "new"): True,
        (0, "again"): True,
    }


@pytest.mark.parametrize("level", LEVELS)
async def test_at_each_new_subscription_of_3_1_1s_kind_they_come_again(guests: Guests, level: int) -> None:
    client = await guests.open(level=level)
    await client.publish(guests.topic("t"), b"kept", retain=True)
    for _ in range(2):
        await client.subscribe(guests.topic("t"))
        assert await gets(client) == (b"kept", True)


@pytest.mark.parametrize("level", LEVELS)
async def test_they_outlive_the_session_of_their_publisher(guests: Guests, level: int) -> None:
    client = await guests.open("c", level=level)
    await client.publish(guests.topic("t"), b"kept", retain=True)
    await client.leave()
    await guests.open("c", level=level, clean_start=True)
    assert await guests.kept(level) == [(b"kept", 1)]
