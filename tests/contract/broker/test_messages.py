"""The log of messages against a real nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from iot_system.adapters.nats.broker import NatsBroker
from iot_system.adapters.nats.broker.streams import MESSAGES
from iot_system.errors import Unavailable
from iot_system.ports.broker import Message, MessageReader, Stored, group_key
from iot_system.ports.stream import StreamLost
from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from tests.harness.collecting import collect
from tests.harness.nats import NatsServer


async def publish(broker: NatsBroker, *messages: Message) -> list[int]:
    results = await broker.messages.publish(messages)
    assert all(isinstance(one, int) for one in results), results
    return [one for one in results if isinstance(one, int)]


def texts(topic: str, payloads: Sequence[str]) -> list[Message]:
    return [Message(topic, payload.encode()) for payload in payloads]


async def read(reader: MessageReader, count: int) -> list[Stored]:
    return await collect(partial(reader.fetch, 16, wait_s=1), count, within_s=15)


async def test_a_batch_stands_in_the_log_in_its_order_with_everything_that_its_messages_had(broker: NatsBroker) -> None:
    whole = Message(
        "app/a.b/c d",
        b"\x00\xff",
        qos=2,
        retain=True,
        publisher="p",
        expires_us=5,
        payload_format=1,
        content_type="text/plain",
        response_topic="app/r",
        correlation_data=b"x",
        user_properties=(("a", "1"), ("a", "2")),
        id="once",
    )
    messages = [whole, *texts("app/x", [str(number) for number in range(1000)])]
    sequences = await publish(broker, *messages)
    async with broker.messages.read(["app/#"], after=0) as reader:
        found = await read(reader, len(messages))
    assert [one.message for one in found] == messages
    assert [one.sequence for one in found] == sequences == sorted(sequences)


async def test_a_message_with_an_id_is_stored_once(broker: NatsBroker) -> None:
    first = await publish(broker, Message("app/a", b"1", id="x"))
    again = await publish(broker, Message("app/a", b"1", id="x"), Message("app/a", b"2", id="y"))
    assert again[0] == first[0]
    assert await broker.messages.last() == again[1] == first[0] + 1


async def test_a_reader_gets_what_its_filters_match_from_behind_its_position(broker: NatsBroker) -> None:
    sequences = await publish(broker, *texts("app/a", "12"), *texts("app/b/c", "34"), *texts("app/a/x", "5"))
    async with broker.messages.read(["app/a/#", "app/+/c"], after=sequences[1]) as reader:
        assert [one.message.payload for one in await read(reader, 3)] == [b"3", b"4", b"5"]
        assert await reader.fetch(16, wait_s=0.1) == []
        assert reader.is_at_end


async def test_a_reader_says_at_once_that_there_is_nothing(broker: NatsBroker) -> None:
    await publish(broker, *texts("app/a", "1"))
    async with broker.messages.read(["app/b"], after=0) as reader:
        async with asyncio.timeout(20):
            assert await reader.fetch(16, wait_s=60) == []
        assert reader.is_at_end


async def test_single_messages_are_found_by_their_sequence(broker: NatsBroker) -> None:
    sequences = await publish(broker, *texts("app/a", "123"))
    found = await broker.messages.get([sequences[2], sequences[0], sequences[2] + 1])
    assert [one and one.message.payload for one in found] == [b"3", b"1", None]


async def test_a_reader_goes_on_without_a_gap_after_the_broker_was_killed(
    server: NatsServer, broker: NatsBroker
) -> None:
    await publish(broker, *texts("app/a", "12"))
    async with broker.messages.read(["app/a"], after=0) as reader:
        found = await read(reader, 2)
        server.kill()
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(30):
            while not isinstance((await broker.messages.publish(texts("app/a", "3")))[0], int):
                pass
            while len(found) < 3:
                try:
                    found += await reader.fetch(16, wait_s=1)
                except Unavailable:
                    continue
    assert [one.message.payload for one in found] == [b"1", b"2", b"3"]


async def test_a_server_that_is_behind_makes_nobody_believe_in_a_loss(
    broker: NatsBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(broker, *texts("app/a", "1"))
    behind = await broker.messages._jetstream.stream_info(MESSAGES)
    (last,) = await publish(broker, *texts("app/a", "2"))

    async def out_of_date(*_: object) -> StreamInfo:
        return behind

    monkeypatch.setattr(JetStreamContext, "stream_info", out_of_date)
    async with broker.messages.read(["#"], after=last) as reader:
        assert await reader.fetch(16, wait_s=0.1) == []
        await publish(broker, *texts("app/a", "3"))
        assert [one.message.payload for one in await read(reader, 1)] == [b"3"]


async def test_a_log_that_ends_before_what_was_read_is_told(broker: NatsBroker) -> None:
    (last,) = await publish(broker, *texts("app/a", "1"))
    async with broker.messages.read(["app/a"], after=last + 3) as reader:
        with pytest.raises(StreamLost, match=f"stream IOT_MESSAGES ends at {last}, but {last + 3} was read"):
            await reader.fetch(16, wait_s=1)


async def test_each_message_of_a_group_goes_to_one_process_until_it_is_settled(broker: NatsBroker) -> None:
    position = await broker.messages.last()
    one = await broker.messages.join("g", "app/#", after=position)
    other = await broker.messages.join("g", "app/#", after=position)
    await publish(broker, *texts("app/a", "12"))
    first = [*await one.fetch(1, wait_s=5), *await other.fetch(1, wait_s=5)]
    assert sorted(shared.stored.message.payload for shared in first) == [b"1", b"2"]
    await one.give_back(first[0].token)
    await other.done(first[1].token)
    again = await other.fetch(1, wait_s=5)
    assert [shared.stored for shared in again] == [first[0].stored]
    await other.done(again[0].token)
    await one.close()
    assert await other.fetch(1, wait_s=0.2) == []
    await other.close()


async def test_a_group_that_was_forgotten_begins_anew(broker: NatsBroker) -> None:
    group = await broker.messages.join("g", "app/a", after=await broker.messages.last())
    await publish(broker, *texts("app/a", "1"))
    await group.close()
    await broker.messages.delete_group(group_key("g", "app/a"))
    await broker.messages.delete_group(group_key("g", "app/a"))
    group = await broker.messages.join("g", "app/a", after=await broker.messages.last())
    await publish(broker, *texts("app/a", "2"))
    assert [one.stored.message.payload for one in await group.fetch(8, wait_s=5)] == [b"2"]
    await group.close()
