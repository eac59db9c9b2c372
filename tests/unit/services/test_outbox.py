"""The outbox: what was committed reaches the broker, each lane in the order of its numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from chart_harness.waiting import until
from iot_system.domain.events import EVENTS, decode_events
from iot_system.domain.signals import Reported
from iot_system.errors import Overloaded, TooLarge, Unavailable
from iot_system.ports.store import OutboxMessage
from iot_system.services import outbox as outbox_module
from iot_system.services.outbox import Outbox
from iot_system.services.shard import STUCK_S

from tests.unit.services.memory_stream import Failing, MemoryStream, no_trouble
from tests.unit.services.system import ADMIN, ALL, ids_of, running

DEADLINE_S = 60.0


@pytest.fixture
def stream() -> MemoryStream:
    return MemoryStream()


@pytest.fixture
async def outbox(stream: MemoryStream) -> AsyncIterator[Outbox]:
    outbox = Outbox(stream)
    running = asyncio.create_task(outbox.run())
    yield outbox
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def messages(target: int, *numbers: int) -> list[OutboxMessage]:
    return [OutboxMessage(target, number, b"%d:%d" % (target, number)) for number in numbers]


def sent(stream: MemoryStream, target: int) -> list[bytes]:
    return [one.data for one in stream.ever if one.partition == target]


async def published(outbox: Outbox, source: int, expected: dict[int, int]) -> None:
    await until(lambda: outbox.published(source) == expected, within_s=DEADLINE_S, why=f"not published: {expected}")


async def test_messages_leave_in_the_order_of_their_numbers(outbox: Outbox, stream: MemoryStream) -> None:
    outbox.put(1, messages(2, 1, 2))
    outbox.put(1, messages(3, 1) + messages(2, 3))
    await published(outbox, 1, {2: 3, 3: 1})
    assert sent(stream, 2) == [b"2:1", b"2:2", b"2:3"]
    assert sent(stream, 3) == [b"3:1"]


@pytest.mark.parametrize(
    "error", [Overloaded("full"), Unavailable("away"), TooLarge("too large"), RuntimeError("a defect")]
)
async def test_a_lane_that_fails_is_tried_again_and_holds_up_no_other(
    outbox: Outbox, stream: MemoryStream, error: Exception
) -> None:
    left = 5

    async def fail_for_2(partition: int, data: bytes) -> None:
        nonlocal left
        if partition == 2 and left:
            left -= 1
            raise error

    stream.before = fail_for_2
    outbox.put(1, messages(2, 1, 2) + messages(3, 1))
    await published(outbox, 1, {3: 1})
    await published(outbox, 1, {2: 2, 3: 1})
    assert sent(stream, 2) == [b"2:1", b"2:2"]
    assert asyncio.get_running_loop().time() > 1, "with a pause between the attempts"


async def test_an_answer_that_got_lost_appends_nothing_twice(outbox: Outbox, stream: MemoryStream) -> None:
    stream.after = Failing(times=3)
    outbox.put(1, messages(2, 1, 2))
    await published(outbox, 1, {2: 2})
    assert sent(stream, 2) == [b"2:1", b"2:2"]


async def test_what_the_store_knows_is_not_told_again_what_came_later_is(outbox: Outbox) -> None:
    outbox.put(1, messages(2, 1))
    await published(outbox, 1, {2: 1})
    told = outbox.published(1)
    outbox.put(1, messages(2, 2))
    await published(outbox, 1, {2: 2})
    outbox.forget(1, told)
    assert outbox.published(1) == {2: 2}
    outbox.forget(1, {2: 2})
    assert outbox.published(1) == {}


async def test_a_partition_that_moved_away_sends_nothing_more_and_its_neighbour_goes_on(
    outbox: Outbox, stream: MemoryStream
) -> None:
    stream.before = Failing()
    outbox.put(1, messages(2, 1))
    outbox.put(4, messages(2, 1))
    await until(lambda: stream.in_flight, within_s=DEADLINE_S)
    outbox.drop(1)
    stream.before = Failing(times=0)
    await published(outbox, 4, {2: 1})
    assert len(sent(stream, 2)) == 1
    assert outbox.published(1) == {}


async def test_a_partition_that_comes_back_sends_what_its_claim_brings(outbox: Outbox, stream: MemoryStream) -> None:
    stream.before = Failing()
    outbox.put(1, messages(2, 1))
    await until(lambda: stream.in_flight, within_s=DEADLINE_S)
    outbox.drop(1)
    outbox.put(1, messages(2, 1, 2))
    stream.before = Failing(times=0)
    await published(outbox, 1, {2: 2})
    assert list(dict.fromkeys(sent(stream, 2))) == [b"2:1", b"2:2"]


async def test_events_that_the_last_owner_has_published_already_are_there_once(
    outbox: Outbox, stream: MemoryStream
) -> None:
    outbox.put(1, messages(EVENTS, 1, 2))
    await published(outbox, 1, {EVENTS: 2})
    outbox.drop(1)
    outbox.put(1, messages(EVENTS, 1, 2, 3))
    await published(outbox, 1, {EVENTS: 3})
    assert list(stream.events.messages.values()) == [b"-1:1", b"-1:2", b"-1:3"]


async def test_while_the_stream_of_events_alone_is_away_no_more_wait_than_the_limit_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "EVENTS_BYTES_LIMIT", 2000)
    async with running() as system:
        process = await system.process("a", ALL)
        [device] = ids_of(1)[:1]
        await system.register(device)
        await system.settled()

        async def away(partition: int, data: bytes) -> None:
            if partition == EVENTS:
                raise Unavailable("the stream of events is away")

        system.stream.before = away
        versions = range(1, 201)
        for version in versions:
            assert await system.gateway.ingest(ADMIN, [Reported(device, {"version": version}, 1)]) == [None]
            await asyncio.sleep(0.01)
        await asyncio.sleep(2 * STUCK_S)
        waiting = await system.store.claim([1], "a", "first")
        assert 2000 < sum(len(one.data) for one in waiting[1].outbox) < 6000
        assert process.shard.why_not_alive() is None
        await process.shard.release(ALL)
        await process.shard.claim(ALL)
        with pytest.raises(Overloaded, match="too many events wait"):
            await system.gateway.patch_desired(device, {"a": 1}, if_version=None, by="me")
        system.stream.before = no_trouble
        await system.settled()
        await system.gateway.patch_desired(device, {"a": 1}, if_version=None, by="me")
        await system.settled()
        told = [one for data in system.stream.events.messages.values() for one in decode_events(data)]
        assert [one.data["version"] for one in told if "reported" in one.data] == list(versions)
