"""What a stream is known by changes with what it holds, and with nothing else: least with a server that is behind."""

from __future__ import annotations

import contextlib
from itertools import count

import pytest
from iot_system.adapters.nats.connection import Client
from iot_system.adapters.nats.stream import STREAM, SUBJECT, NatsStream
from iot_system.errors import Overloaded, Unavailable
from iot_system.ports.stream import StreamLost
from iot_system.services.streams import make_streams
from msgspec.structs import replace
from nats.js.api import RawStreamMsg, StreamInfo

from tests.contract.nats.frames.stream import SETTINGS, publish, read, reading
from tests.harness.nats import NatsServer, connected


async def delete(server: NatsServer) -> None:
    async with connected(server) as client:
        await client.jetstream().delete_stream(STREAM)


async def test_the_identity_changes_with_the_data(server: NatsServer, stream: NatsStream) -> None:
    first = await stream.identity()
    assert await stream.identity() == first
    await delete(server)
    await make_streams(server.settings(), SETTINGS)
    assert await stream.identity() != first


async def test_positions_of_a_stream_that_was_replaced_trim_nothing_and_read_nothing(
    server: NatsServer, stream: NatsStream
) -> None:
    before = await stream.identity()
    await publish(stream, 1, *"abc")
    await delete(server)
    for use in (stream.identity(), stream.verify(before, reached=0), stream.follow(before, reached=3)):
        with pytest.raises(Unavailable, match="stream IOT_FRAMES does not exist; `iot-system streams` makes it"):
            await use
    await make_streams(server.settings(), SETTINGS)
    after = await stream.follow(before, reached=3)
    await publish(stream, 1, "d")
    with pytest.raises(StreamLost, match="is another one now"):
        await stream.trim({1: 3}, stream_id=before)
    with pytest.raises(StreamLost, match="is another one now"):
        async with stream.read({1: 3}, stream_id=before) as reader:
            await reader.fetch(16, wait_s=1)
    async with stream.read({1: 0}, stream_id=after) as reader:
        assert [message.data for message in await read(reader, 1)] == [b"d"]


async def test_a_stream_that_lost_what_it_held_changes_its_identity_once(
    server: NatsServer, stream: NatsStream
) -> None:
    before = await stream.identity()
    (last,) = await publish(stream, 1, "a")
    assert await stream.follow(before, reached=last) == before
    with pytest.raises(StreamLost, match=f"ends at {last}, but {last + 1} was applied"):
        await stream.trim({1: last + 1}, stream_id=before)
    after = await stream.follow(before, reached=last + 1)
    assert after != before
    assert await stream.follow(before, reached=last + 1) == after, "another shard finds it out later"
    await make_streams(server.settings(), replace(SETTINGS, max_bytes=65 << 20))
    assert await stream.identity() == after, "new limits keep it"
    reached = (await publish(stream, 1, "b"))[0] + 1
    assert await stream.follow(after, reached=reached) not in (before, after), "the next loss is another one"


async def test_a_server_that_is_behind_makes_nobody_believe_in_a_loss(
    stream: NatsStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = await stream.identity()
    (one,) = await publish(stream, 1, "a")
    behind = await stream._jetstream.stream_info(STREAM)
    (two,) = await publish(stream, 1, "b")

    async def out_of_date(*_: object) -> StreamInfo:
        return behind

    monkeypatch.setattr(stream._jetstream, "stream_info", out_of_date)
    with pytest.raises(StreamLost, match=f"ends at {one}, but {two} was applied"):
        await stream.verify(identity, reached=two)
    assert await stream.follow(identity, reached=two) == identity, "what is published then has a higher number"
    monkeypatch.undo()
    async with await reading(stream, {1: 0}) as reader:
        assert [message.data for message in await read(reader, 3)] == [b"a", b"b", b""]


async def test_a_loss_that_could_not_be_noted_is_not_forgotten(
    server: NatsServer, stream: NatsStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await stream.identity()
    (last,) = await publish(stream, 1, "a")

    async def away(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(stream._jetstream, "add_consumer", away)
    with pytest.raises(Unavailable, match="a loss of stream IOT_FRAMES cannot be noted"):
        await stream.follow(before, reached=last + 1)
    monkeypatch.undo()
    await publish(stream, 1, *"bcd")
    assert await stream.follow(before, reached=last + 1) != before


async def test_a_full_stream_that_ends_too_early_is_taken_for_one_that_lost_something(
    server: NatsServer, stream: NatsStream
) -> None:
    await make_streams(server.settings(), replace(SETTINGS, max_bytes=1 << 20))
    last = 0
    for size in (10_000, 0):
        with contextlib.suppress(Overloaded):
            for number in count():
                last = await stream.publish(0, bytes(size), message_id=f"{size} {number}")
    before = await stream.identity()
    assert await stream.follow(before, reached=last) == before
    assert await stream.follow(before, reached=last + 1) != before


async def test_a_server_that_does_not_have_the_newest_messages_makes_nobody_forget_them(
    stream: NatsStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = await publish(stream, 1, "a")
    behind = await stream._jetstream.get_last_msg(STREAM, f"{SUBJECT}.1")
    await publish(stream, 1, "b", "c")

    async def out_of_date(*_: object) -> RawStreamMsg:
        return behind

    monkeypatch.setattr(stream._jetstream, "get_last_msg", out_of_date)
    await stream.trim({1: one}, stream_id=await stream.identity())
    monkeypatch.undo()
    async with await reading(stream, {1: 0}) as reader:
        assert [message.data for message in await read(reader, 2)] == [b"b", b"c"]


async def test_losses_that_0_1_0_has_noted_count(administrator: Client, stream: NatsStream) -> None:
    jetstream = administrator.jetstream()
    config = (await jetstream.stream_info(STREAM)).config
    await jetstream.update_stream(config, metadata={**(config.metadata or {}), "iot-lives": "2"})
    before = await stream.identity()
    assert before.endswith(", lost 2 times"), "as its programs call it, whose positions go on counting"
    assert (await stream.follow(before, reached=1)).endswith(", lost 3 times")
