"""The writer of one partition: order, frames that grow, and outcomes that reach the right senders."""

from __future__ import annotations

import asyncio
import random

import pytest
from chart_harness.waiting import until
from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.bundles import BUNDLE_PARTITIONS
from iot_system.domain.frames import FRAME_MESSAGES, DeviceFrame, SignalFrame, decode_frame, encode_frame
from iot_system.domain.readings import Telemetry
from iot_system.domain.signals import Reported
from iot_system.errors import IotError, Overloaded, TooLarge, Unavailable
from iot_system.ports.stream import ANSWER_S
from iot_system.services.bundling import PUBLISH_FOR_S, RETRY_S, Bundling
from iot_system.services.framing import DEVICE, SIGNAL, chunks_of, frame_of
from iot_system.services.writer import PATIENCE_S, QUEUE_MESSAGES_LIMIT, PartitionWriter, Room

from tests.unit.services.memory_stream import Failing, MemoryStream, no_trouble
from tests.unit.services.simulated_loop import simulate

DEADLINE_S = 60.0


def said(number: int, text: str = "") -> Telemetry:
    return Telemetry("d", number, {"t": text or number})


def frames(stream: MemoryStream) -> list[list[int]]:
    decoded = [decode_frame(message.data) for message in stream.log]
    return [[one.time_us for one in frame.messages] for frame in decoded if isinstance(frame, DeviceFrame)]


class Held:
    """Publishes wait until released."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.started = 0

    async def __call__(self, partition: int, data: bytes) -> None:
        self.started += 1
        await self.released.wait()


def reported(number: int) -> Reported:
    return Reported("d", {"n": number}, number)


def writer_to(stream: MemoryStream, counted: list[int] | None = None, room: Room | None = None) -> PartitionWriter:
    return PartitionWriter(0, Bundling(stream), (counted if counted is not None else []).append, room or Room())


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


async def test_what_may_wait_shares_the_frame_of_what_comes_next() -> None:
    stream = MemoryStream()
    writer = writer_to(stream)
    confirmed, answered = writer.put([reported(1)], may_wait=True), writer.put([reported(2)])
    assert [await confirmed, await answered] == [None, None]
    assert [decode_frame(one.data) for one in stream.log] == [SignalFrame([reported(1), reported(2)])]


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


async def test_a_frame_ends_with_the_parcel_that_fills_it() -> None:
    stream = MemoryStream()
    writer = writer_to(stream)
    numbers = iter(range(10_000))
    for size in (FRAME_MESSAGES - 1, 3, 1, FRAME_MESSAGES, 1):
        writer.put([said(next(numbers)) for _ in range(size)])
    await writer.drain()
    assert [len(frame) for frame in frames(stream)] == [FRAME_MESSAGES + 2, FRAME_MESSAGES + 1, 1]


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


async def test_parcels_over_the_frame_limit_are_split_in_their_order() -> None:
    stream = MemoryStream(frame_limit=1000)
    writer = writer_to(stream)
    parcels = [writer.put([said(10 * parcel + number, "x" * 100) for number in range(10)]) for parcel in range(3)]
    assert await asyncio.gather(*parcels) == [None, None, None]
    assert [number for frame in frames(stream) for number in frame] == list(range(30))
    assert all(len(message.data) <= 1000 for message in stream.log)


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_message_too_large_for_the_broker_harms_its_sender_only(place: int) -> None:
    stream = MemoryStream(frame_limit=1000)
    writer = writer_to(stream)
    parcels = [writer.put([said(number, "x" * (2000 if number == place else 10))]) for number in range(3)]
    outcomes = await asyncio.gather(*parcels)
    assert [type(outcome) for number, outcome in enumerate(outcomes) if number == place] == [TooLarge]
    assert [outcome for number, outcome in enumerate(outcomes) if number != place] == [None, None]
    assert [number for frame in frames(stream) for number in frame] == [one for one in range(3) if one != place]


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


@pytest.mark.parametrize("count", [1, 15, 16, 65_535, 65_536])
def test_a_frame_of_chunks_is_the_frame_of_their_messages(count: int) -> None:
    messages = [said(number) for number in range(count)]
    assert frame_of(DEVICE, chunks_of(messages, 1 << 30)) == encode_frame(DeviceFrame(messages))
    signals = [reported(number) for number in range(count)]
    parts = chunks_of(signals, 1000)
    assert frame_of(SIGNAL, parts) == encode_frame(SignalFrame(list(signals)))
    assert all(len(one.data) <= 1000 for one in parts)


async def test_telemetry_and_signals_stay_in_one_order_and_share_no_frame() -> None:
    stream, held = MemoryStream(), Held()
    stream.before = held
    writer = writer_to(stream)
    first = writer.put([said(0)])
    await until(lambda: held.started, within_s=DEADLINE_S)
    later = [writer.put([reported(1)]), writer.put([reported(2)]), writer.put([said(3)]), writer.put([reported(4)])]
    held.released.set()
    assert await asyncio.gather(first, *later) == [None] * 5
    decoded = [decode_frame(message.data) for message in stream.log]
    assert decoded == [
        DeviceFrame([said(0)]),
        SignalFrame([reported(1), reported(2)]),
        DeviceFrame([said(3)]),
        SignalFrame([reported(4)]),
    ]


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


async def test_frames_of_neighbours_leave_together_and_each_sender_hears_of_its_own() -> None:
    stream, held, room = MemoryStream(), Held(), Room()
    stream.before = held
    bundling = Bundling(stream)
    writers = [PartitionWriter(number, bundling, list[int]().append, room) for number in (0, 1, BUNDLE_PARTITIONS)]
    first = [writer.put([said(0)]) for writer in writers]
    await until(lambda: held.started == 2, within_s=DEADLINE_S)
    gone, staying = writers[0].put([said(1)]), writers[1].put([said(1)])
    gone.cancel()
    held.released.set()
    assert await asyncio.gather(*first, staying) == [None] * 4
    await writers[0].drain()
    by_sequence: dict[int, list[int]] = {}
    for message in stream.log:
        by_sequence.setdefault(message.sequence, []).append(message.partition)
    assert sorted(by_sequence.values()) == [[0, 1], [0, 1], [BUNDLE_PARTITIONS]]


async def test_a_bundle_stays_below_the_brokers_limit() -> None:
    stream, room = MemoryStream(frame_limit=1000), Room()
    bundling = Bundling(stream)
    writers = [PartitionWriter(number, bundling, list[int]().append, room) for number in range(5)]
    assert await asyncio.gather(*(one.put([said(1, "x" * 400)]) for one in writers)) == [None] * 5
    sizes: dict[int, int] = {}
    for message in stream.log:
        sizes[message.sequence] = sizes.get(message.sequence, 0) + len(message.data)
    assert len(sizes) == 3
    assert max(sizes.values()) < 1000
