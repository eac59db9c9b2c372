"""The stream port against a real nats-server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats.js.errors
import pytest
from iot_system.adapters.nats.connection import connect
from iot_system.adapters.nats.stream import STREAM, SUBJECT, NatsStream, frame_stream
from iot_system.errors import InvalidSetting, Overloaded, TooLarge, Unavailable
from iot_system.ports.stream import StreamMessage
from iot_system.services.streams import make_streams
from iot_system.settings import BrokerSettings, StreamSettings
from msgspec.structs import replace

from tests.contract.nats.frames.stream import PARTITIONS, SETTINGS, publish, read, reading
from tests.harness.nats import NatsServer


async def test_messages_come_back_in_order_with_their_sequences(stream: NatsStream) -> None:
    sequences = await publish(stream, 3, *"abcde")
    async with await reading(stream, {3: 0}) as reader:
        messages = await read(reader, 5)
    assert [(one.partition, one.sequence, one.data) for one in messages] == [
        (3, sequence, text.encode()) for sequence, text in zip(sequences, "abcde", strict=True)
    ]


async def test_each_partition_is_read_from_its_own_position(stream: NatsStream) -> None:
    one = await publish(stream, 1, "a", "b", "c")
    await publish(stream, 2, "x", "y")
    await publish(stream, 5, "not asked for")
    async with await reading(stream, {1: one[1], 2: 0}) as reader:
        messages = await read(reader, 3)
        assert await reader.fetch(16, wait_s=0.1) == []
    assert sorted((message.partition, message.data) for message in messages) == [(1, b"c"), (2, b"x"), (2, b"y")]


async def test_more_than_a_pull_of_applied_frames_may_lie_before_a_new_one(stream: NatsStream) -> None:
    applied = (await publish(stream, 1, *map(str, range(40))))[-1]
    await publish(stream, 2, "new")
    async with await reading(stream, {1: applied, 2: 0}) as reader:
        async with asyncio.timeout(15):
            found = await reader.fetch(16, wait_s=10)
    assert [(one.partition, one.data) for one in found] == [(2, b"new")]


async def test_a_fetch_returns_as_soon_as_something_comes(stream: NatsStream) -> None:
    async with await reading(stream, dict.fromkeys(range(PARTITIONS), 0)) as reader:
        fetching = asyncio.create_task(reader.fetch(16, wait_s=60))
        await publish(stream, 0, "now")
        async with asyncio.timeout(20):
            assert [message.data for message in await fetching] == [b"now"]


async def test_a_message_published_again_under_its_id_is_stored_once(stream: NatsStream) -> None:
    first = await stream.publish(0, b"frame", message_id="same")
    assert await stream.publish(0, b"frame", message_id="same") == first


async def test_a_reader_goes_on_behind_its_position_when_the_broker_crashes(
    server: NatsServer, stream: NatsStream
) -> None:
    async with await reading(stream, {4: 0}) as reader:
        await publish(stream, 4, "a", "b")
        assert len(await read(reader, 2)) == 2
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(20):
            while True:
                try:
                    await publish(stream, 4, "c")
                    break
                except Unavailable:
                    continue
        messages: list[StreamMessage] = []
        async with asyncio.timeout(20):
            while not messages:
                try:
                    messages = await reader.fetch(16, wait_s=1)
                except Unavailable:
                    continue
    assert [message.data for message in messages] == [b"c"]


async def test_a_lost_delivery_is_noticed_and_read_again(stream: NatsStream) -> None:
    async with await reading(stream, {0: 0}) as reader:
        await publish(stream, 0, "a")
        assert len(await read(reader, 1)) == 1
        inbox = reader._inbox
        assert inbox is not None
        await reader._pull(4)
        await publish(stream, 0, "b", "c")
        async with asyncio.timeout(20):
            lost = await inbox.next_msg(timeout=None)  # as if the connection had swallowed it
            while lost.data != b"b":
                lost = await inbox.next_msg(timeout=None)
        messages: list[StreamMessage] = []
        async with asyncio.timeout(30):
            while len(messages) < 2:
                try:
                    messages += await reader.fetch(16, wait_s=1)
                except Unavailable:
                    continue
    assert [message.data for message in messages] == [b"b", b"c"]


async def test_a_full_stream_refuses_and_keeps_what_it_has(server: NatsServer, stream: NatsStream) -> None:
    await make_streams(server.settings(), replace(SETTINGS, max_bytes=1 << 20))
    stored = 0

    async def publish_for_ever() -> None:
        nonlocal stored
        while True:
            await stream.publish(0, b"x" * 100_000, message_id=str(stored))
            stored += 1

    with pytest.raises(Overloaded, match="full"):
        await publish_for_ever()
    async with await reading(stream, {0: 0}) as reader:
        assert len(await read(reader, stored)) == stored
    await stream.trim({0: stored}, stream_id=await stream.identity())
    assert await stream.publish(0, b"room again", message_id="again") > stored


async def test_where_others_have_taken_the_room_of_the_server_the_stream_refuses_until_it_is_free(
    tmp_path: Path,
) -> None:
    """The server's own bound (`max_file_store`) is reached before that of the stream."""
    server = await asyncio.to_thread(NatsServer(tmp_path, max_file_store="48MB").start)
    try:
        client = await connect(BrokerSettings(urls=server.url), name="test")
        jetstream = client.jetstream(timeout=10)
        await jetstream.add_stream(frame_stream(replace(SETTINGS, max_bytes=16 << 20)))
        stream = NatsStream(client, SETTINGS)
        first = await stream.publish(0, b"kept", message_id="first")
        await jetstream.add_stream(name="OTHERS", subjects=["others"])

        async def publish_for_ever() -> None:
            while True:
                await jetstream.publish("others", bytes(1 << 20))

        with pytest.raises(nats.js.errors.APIError, match="resources"):
            await publish_for_ever()
        with pytest.raises(Overloaded, match="insufficient resources"):
            await stream.publish(0, b"refused", message_id="second")
        await jetstream.delete_stream("OTHERS")
        assert await stream.publish(0, b"room again", message_id="third") == first + 1
        kept = [(await jetstream.get_msg(STREAM, seq=sequence)).data for sequence in (first, first + 1)]
        assert kept == [b"kept", b"room again"]
        await client.close()
    finally:
        server.stop()


async def test_a_frame_over_the_limit_is_refused(stream: NatsStream) -> None:
    with pytest.raises(TooLarge, match=str(stream.frame_limit)):
        await stream.publish(0, b"x" * (9 << 20), message_id="large")


async def test_trimming_keeps_what_some_partition_has_not_applied(stream: NatsStream) -> None:
    one = await publish(stream, 1, "a", "b")
    two = await publish(stream, 2, "x", "y")
    await stream.trim({1: one[1], 2: two[0]}, stream_id=await stream.identity())
    async with await reading(stream, {1: 0, 2: 0}) as reader:
        assert [message.data for message in await read(reader, 1)] == [b"y"]


async def test_a_partition_without_news_does_not_hold_trimming_up(stream: NatsStream) -> None:
    (old,) = await publish(stream, 1, "a")
    two = await publish(stream, 2, "x", "y")
    await stream.trim({1: old, 2: two[1]}, stream_id=await stream.identity())
    async with await reading(stream, {1: 0, 2: 0}) as reader:
        assert await reader.fetch(16, wait_s=0.2) == []


async def test_of_a_bundle_each_partition_gets_what_is_its_own(stream: NatsStream) -> None:
    (before,) = await publish(stream, 1, "before")
    bundle = await stream.publish_bundle({0: b"zero", 1: b"one"}, message_id="bundle")
    (after,) = await publish(stream, 1, "after")
    async with await reading(stream, {0: 0, 1: 0, 2: 0}) as reader:
        messages = await read(reader, 5)
    assert [(one.partition, one.sequence, one.data) for one in messages] == [
        (1, before, b"before"),
        (0, bundle, b"zero"),
        (1, bundle, b"one"),
        (2, bundle, b""),
        (1, after, b"after"),
    ]
    async with await reading(stream, dict.fromkeys(range(PARTITIONS), 0) | {1: bundle}) as reader:
        messages = await read(reader, PARTITIONS)
    assert [one.partition for one in messages if one.sequence == bundle] == [0, *range(2, PARTITIONS)]


async def test_a_bundle_goes_once_all_who_share_it_are_past_it(stream: NatsStream) -> None:
    bundle = await stream.publish_bundle({0: b"zero", 1: b"one"}, message_id="bundle")
    applied = dict.fromkeys(range(PARTITIONS), bundle)
    await stream.trim(applied | {1: bundle - 1}, stream_id=await stream.identity())
    async with await reading(stream, {1: 0}) as reader:
        assert [one.data for one in await read(reader, 1)] == [b"one"]
    await stream.trim(applied, stream_id=await stream.identity())
    async with await reading(stream, {1: 0}) as reader:
        assert await reader.fetch(16, wait_s=0.2) == []


async def test_a_bundle_that_cannot_be_read_is_a_broken_frame_of_its_partitions(stream: NatsStream) -> None:
    await stream._append(f"{SUBJECT}.bundle-0", b"nonsense", "bundle")
    async with await reading(stream, {1: 0, 2: 0}) as reader:
        assert [(one.partition, one.data) for one in await read(reader, 2)] == [(1, b"nonsense"), (2, b"nonsense")]


async def test_another_number_of_partitions_is_refused(server: NatsServer, stream: NatsStream) -> None:
    other, told = StreamSettings(partitions=9), "IOT_PARTITIONS is 9, but this installation was made with 8"
    with pytest.raises(InvalidSetting, match=told):
        await NatsStream(stream._client, other).identity()
    with pytest.raises(InvalidSetting, match=told):
        await make_streams(server.settings(), other)


async def test_a_broker_that_takes_no_large_frames_is_refused(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, max_payload="1MB")
    await asyncio.to_thread(server.start)
    with pytest.raises(InvalidSetting, match="max_payload is 1048576 bytes; it must be at least 8388608"):
        await make_streams(server.settings(), SETTINGS)
    server.stop()


@pytest.mark.usefixtures("impatient")
async def test_no_broker_is_told_in_one_sentence() -> None:
    with pytest.raises(Unavailable, match=r"the broker at nats://127\.0\.0\.1:1 does not answer"):
        await connect(BrokerSettings(urls="nats://127.0.0.1:1"), name="test")
