"""The writer of one partition: order, and outcomes that reach the right senders."""

from __future__ import annotations

import asyncio
import random

import pytest
from chart_harness.waiting import until
from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.frames import FRAME_MESSAGES
from iot_system.errors import IotError, Overloaded, Unavailable
from iot_system.ports.stream import ANSWER_S
from iot_system.services.bundling import PUBLISH_FOR_S, RETRY_S, Bundling
from iot_system.services.writer import PATIENCE_S, QUEUE_MESSAGES_LIMIT, PartitionWriter, Room

from tests.unit.services.memory_stream import Failing, MemoryStream, no_trouble
from tests.unit.services.simulated_loop import simulate
from tests.unit.services.written import DEADLINE_S, Held, frames, reported, said, writer_to


async def test_a_message_is_sent_at_once_when_nothing_is_in_flight() -> None:
    stream, counted = MemoryStream(), list[int]()
    assert await writer_to(stream, counted).put([said(1)]) is None
    assert frames(stream) == [[1]]
    assert counted == [1]


async def test_a_drain_that_is_given_up_tells_every_sender() -> None:
    stream = MemoryStream()
    stream.before = Held()
    writer = writer_to(stream)
    outcomes = [writer.put([said(number)]) for number in range(3)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await writer.drain()
    for outcome in outcomes:
        assert isinstance(await outcome, Unavailable)
    await writer.drain()
    assert frames(stream) == []


async def test_the_next_frame_takes_what_gathered_while_one_was_in_flight() -> None:
    stream, held = MemoryStream(), Held()
    stream.before = held
    writer = writer_to(stream)
    first = writer.put([said(0)])
    await until(lambda: held.started, within_s=DEADLINE_S)
    later = [writer.put([said(number)]) for number in range(1, 10)]
    held.released.set()
    assert await asyncio.gather(first, *later) == [None] * 10
    assert frames(stream) == [[0], list(range(1, 10))]


def test_what_may_wait_leaves_alone_where_nothing_comes() -> None:
    async def run() -> None:
        stream = MemoryStream()
        started_s = asyncio.get_running_loop().time()
        assert await writer_to(stream).put([reported(1)], may_wait=True) is None
        assert asyncio.get_running_loop().time() - started_s == pytest.approx(PATIENCE_S)
        assert len(stream.log) == 1

    simulate(run())


async def test_a_drain_does_not_wait_for_what_may_come() -> None:
    stream = MemoryStream()
    writer = writer_to(stream)
    outcome = writer.put([reported(1)], may_wait=True)
    await writer.drain()
    assert outcome.done()
    assert len(stream.log) == 1


@given(st.lists(st.integers(1, 300), max_size=12), st.integers(0, 2**32))
def test_order_and_outcomes_hold_whatever_the_broker_does(sizes: list[int], seed: int) -> None:
    """Answers come late, get lost, or say no; a sender hears None exactly if all that it sent is in the log."""
    chance = random.Random(seed)

    async def trouble(partition: int, data: bytes) -> None:
        await asyncio.sleep(chance.random())
        match chance.randrange(8):
            case 0:
                raise Overloaded("the stream is full")
            case 1 | 2:
                raise Unavailable("no answer")

    async def run() -> None:
        stream = MemoryStream(frame_limit=4000)
        stream.before = stream.after = trouble
        writer = writer_to(stream)
        outcomes: list[tuple[set[int], asyncio.Future[IotError | None]]] = []
        count = 0
        for size in sizes:
            numbers = range(count, count := count + size)
            outcomes.append((set(numbers), writer.put([said(number) for number in numbers])))
            await asyncio.sleep(chance.random() * chance.randrange(2))
        await writer.drain()
        stored = [number for frame in frames(stream) for number in frame]
        assert stored == sorted(set(stored)), "out of order, or doubled"
        assert stream.most_in_flight <= 1
        for numbers_sent, outcome in outcomes:
            assert outcome.done()
            if outcome.result() is None:
                assert numbers_sent <= set(stored)

    simulate(run())


async def test_a_failure_reaches_exactly_the_senders_of_its_frame() -> None:
    stream, held = MemoryStream(), Held()
    stream.before = held
    writer = writer_to(stream)
    first = writer.put([said(0)])
    await until(lambda: held.started, within_s=DEADLINE_S)
    of_second = [writer.put([said(number) for number in range(FRAME_MESSAGES // 2)]) for _ in range(2)]
    third = writer.put([said(1)])

    async def full_for_the_second(partition: int, data: bytes) -> None:
        if len(stream.log) == 1:
            stream.before = held
            raise Overloaded("the stream is full")

    stream.before = full_for_the_second
    held.released.set()
    assert await first is None
    assert [type(await one) for one in of_second] == [Overloaded, Overloaded]
    assert await third is None
    assert frames(stream) == [[0], [1]]


async def test_an_answer_that_got_lost_stores_nothing_twice() -> None:
    stream = MemoryStream()
    stream.after = Failing(times=3)
    assert await writer_to(stream).put([said(1)]) is None
    assert frames(stream) == [[1]]


async def test_a_lost_answer_is_soon_noticed_and_a_slow_broker_is_not_sent_everything_again_and_again() -> None:
    stream = MemoryStream()
    stream.after = Failing(times=5)
    assert await writer_to(stream).put([said(1)]) is None
    assert stream.patience_s[0] + RETRY_S < 1
    assert stream.patience_s == sorted(stream.patience_s)
    assert stream.patience_s[-1] == ANSWER_S


async def test_a_broker_that_stays_away_is_told_to_the_sender_in_time() -> None:
    stream = MemoryStream()
    stream.before = Failing()
    started_s = asyncio.get_running_loop().time()
    assert isinstance(await writer_to(stream).put([said(1)]), Unavailable)
    assert asyncio.get_running_loop().time() - started_s <= PUBLISH_FOR_S


async def test_the_queue_is_bounded_and_opens_again() -> None:
    stream, held = MemoryStream(), Held()
    stream.before = held
    writer = writer_to(stream)
    writer.put([said(number) for number in range(QUEUE_MESSAGES_LIMIT)])
    with pytest.raises(Overloaded) as refusal:
        writer.put([said(0)])
    assert str(refusal.value) == f"{QUEUE_MESSAGES_LIMIT} messages wait for partition 0; send more slowly"
    held.released.set()
    await writer.drain()
    assert await writer.put([said(0)]) is None


async def test_a_sender_that_went_away_disturbs_nobody() -> None:
    stream, held = MemoryStream(), Held()
    stream.before = held
    writer = writer_to(stream)
    gone, staying = writer.put([said(0)]), writer.put([said(1)])
    gone.cancel()
    held.released.set()
    assert await staying is None
    assert [number for frame in frames(stream) for number in frame] == [0, 1]


async def test_drain_returns_when_nothing_waits() -> None:
    stream, held = MemoryStream(), Held()
    writer = writer_to(stream)
    await writer.drain()
    stream.before = held
    first = writer.put([said(0)])
    draining = asyncio.ensure_future(writer.drain())
    await until(lambda: held.started, within_s=DEADLINE_S)
    last = writer.put([said(1)])
    assert not draining.done()
    held.released.set()
    await draining
    assert (first.result(), last.result()) == (None, None)


async def test_a_failure_nobody_foresaw_is_told_and_the_next_message_gets_through() -> None:
    stream = MemoryStream()

    async def broken(partition: int, data: bytes) -> None:
        stream.before = no_trouble
        raise RuntimeError("a defect in a library")

    stream.before = broken
    writer = writer_to(stream)
    first, second = writer.put([said(0)]), writer.put([said(1)])
    assert [type(await first), type(await second)] == [Unavailable, Unavailable]
    await writer.drain()
    assert await writer.put([said(2)] * QUEUE_MESSAGES_LIMIT) is None


async def test_all_partitions_together_hold_so_many_bytes_and_no_more() -> None:
    stream, held, room = MemoryStream(), Held(), Room(limit=1000)
    stream.before = held
    first, second = writer_to(stream, room=room), PartitionWriter(1, Bundling(stream), list[int]().append, room)
    waiting = first.put([said(1, "x" * 900)])
    with pytest.raises(Overloaded, match="bytes wait for the broker; the limit is 1000"):
        second.put([said(2, "x" * 900)])
    held.released.set()
    assert await waiting is None
    assert await second.put([said(2, "x" * 900)]) is None
    await second.drain()
    assert room.bytes == 0
