"""Which messages share a frame, and which frames a bundle; how large both become."""

from __future__ import annotations

import asyncio

import pytest
from chart_harness.waiting import until
from iot_system.domain.bundles import BUNDLE_PARTITIONS
from iot_system.domain.frames import FRAME_MESSAGES, DeviceFrame, SignalFrame, decode_frame, encode_frame
from iot_system.errors import TooLarge
from iot_system.services.bundling import Bundling
from iot_system.services.framing import DEVICE, SIGNAL, chunks_of, frame_of
from iot_system.services.writer import PartitionWriter, Room

from tests.unit.services.memory_stream import MemoryStream
from tests.unit.services.written import DEADLINE_S, Held, frames, reported, said, writer_to


async def test_a_frame_ends_with_the_parcel_that_fills_it() -> None:
    stream = MemoryStream()
    writer = writer_to(stream)
    numbers = iter(range(10_000))
    for size in (FRAME_MESSAGES - 1, 3, 1, FRAME_MESSAGES, 1):
        writer.put([said(next(numbers)) for _ in range(size)])
    await writer.drain()
    assert [len(frame) for frame in frames(stream)] == [FRAME_MESSAGES + 2, FRAME_MESSAGES + 1, 1]


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


async def test_what_may_wait_shares_the_frame_of_what_comes_next() -> None:
    stream = MemoryStream()
    writer = writer_to(stream)
    confirmed, answered = writer.put([reported(1)], may_wait=True), writer.put([reported(2)])
    assert [await confirmed, await answered] == [None, None]
    assert [decode_frame(one.data) for one in stream.log] == [SignalFrame([reported(1), reported(2)])]
