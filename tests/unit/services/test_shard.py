"""Shards: what is acknowledged is applied exactly once and in order, by actors that are in memory only while needed."""

from __future__ import annotations

import asyncio

import pytest
from chart_harness.waiting import until
from iot_system.actors.time_limit import HANDLERS
from iot_system.domain import questions as q
from iot_system.domain.addresses import Address
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.errors import NotFound
from iot_system.ports.stream import StreamMessage

from tests.unit.services.lifeline import Halt
from tests.unit.services.memory_stream import MemoryReader
from tests.unit.services.system import ADMIN, ALL, DEADLINE_S, System, ids_of

DEVICE, NEIGHBOUR = ids_of(1)[:2]
ROOM = ids_of(2, "room")[0]


async def test_readings_reach_history_twin_and_room_across_partitions_and_processes(system: System) -> None:
    await system.process("a", [0, 1])
    await system.process("b", [2, 3])
    await system.register(DEVICE, NEIGHBOUR, room=ROOM)
    await system.say(DEVICE, 1, 2, 3)
    await system.say(NEIGHBOUR, 7)
    await system.settled()
    assert (await system.history(DEVICE), await system.history(NEIGHBOUR)) == ([1, 2, 3], [7])
    view = await system.gateway.device(DEVICE)
    assert view.state.latest["t"].time_us == 3
    room = (await system.gateway.rooms.get(ROOM)).state
    metric = room.metrics["t"]
    assert (metric.count, metric.min, metric.max, metric.sum) == (4, 1, 7, 13)
    assert room.members == {DEVICE: 3, NEIGHBOUR: 7}


async def test_a_behaviour_that_never_returns_does_not_hold_its_shard(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HANDLERS, "limit_s", 0.1)
    monkeypatch.setattr(HANDLERS, "pause_s", 0.0)
    await system.process("a", ALL)
    await system.register(DEVICE, NEIGHBOUR, room=ROOM)
    behaviour = "tests.unit.actors.sample_behaviours:NeverReturning"
    await system.asking.ask_owner(DEVICE, q.PatchDevice(DEVICE, {"behaviour": behaviour}), Device)
    endless = [Telemetry(DEVICE, time_us, {metric: 1.0}) for time_us, metric in enumerate(("bad", "worse", "fine"), 1)]
    assert await system.gateway.ingest(ADMIN, endless) == [None] * 3
    await system.say(NEIGHBOUR, 7)
    await system.settled()
    assert await system.history(NEIGHBOUR) == [7]
    state = (await system.gateway.device(DEVICE)).state
    assert (state.errors, state.extra, set(state.latest)) == (2, {"fine": True}, {"bad", "worse", "fine"})
    failures = await system.asking.ask_owner(DEVICE, q.GetFailures(Address("device", DEVICE)), list[q.Failure])
    assert all(one.error.startswith("TooLong: it did not return in time (sample_behaviours.py") for one in failures)
    assert ["'worse'" in one.message for one in failures] == [True, False]


async def test_a_shard_reads_on_where_its_client_swallows_a_cancellation(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.wait_for` does before Python 3.12."""
    fetch, swallowed = MemoryReader.fetch, list[MemoryReader]()

    async def swallowing(reader: MemoryReader, limit: int, *, wait_s: float) -> list[StreamMessage]:
        try:
            return await fetch(reader, limit, wait_s=wait_s)
        except asyncio.CancelledError:
            if reader in swallowed:
                raise
            swallowed.append(reader)
            return []

    monkeypatch.setattr(MemoryReader, "fetch", swallowing)
    process = await system.process("a", ALL[:1])
    await asyncio.sleep(1)
    await process.shard.claim(ALL)
    await system.register(DEVICE)
    await system.say(DEVICE, 1)
    await system.settled()
    assert await system.history(DEVICE) == [1]
    assert swallowed


async def test_whoever_gives_up_waiting_for_a_turn_does_not_hold_the_next_one(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE)

    async def want_a_turn() -> None:
        async with process.shard.whole_turn():
            raise AssertionError("it gave up before")

    async with process.shard.whole_turn():
        await system.say(DEVICE, 1)
        await until(lambda: process.shard._turn._waiting == 1, within_s=DEADLINE_S)
        other = asyncio.create_task(want_a_turn())
        await until(lambda: process.shard._turn._waiting == 2, within_s=DEADLINE_S)
    other.cancel()
    await system.settled()
    assert await system.history(DEVICE) == [1]


async def test_a_frame_seen_again_changes_nothing(system: System) -> None:
    await system.process("a", ALL)
    await system.register(DEVICE, room=ROOM)
    await system.say(DEVICE, 1, 2)
    await system.settled()
    before = await system.room(ROOM)
    for frame in list(system.stream.log):
        system.stream.append(frame.partition, frame.data)
    await system.settled()
    assert await system.history(DEVICE) == [1, 2]
    assert await system.room(ROOM) == before


async def test_a_reading_sent_twice_is_stored_once_also_after_its_actor_has_left_memory(system: System) -> None:
    process = await system.process("a", ALL, passivate_after_s=5.0)
    await system.register(DEVICE, room=ROOM)
    await system.say(DEVICE, 1, 5)
    await system.settled()
    await until(lambda: not process.shard.partition(1).actors.devices, within_s=DEADLINE_S)
    await system.say(DEVICE, 5, 1, 3)
    await system.settled()
    assert await system.history(DEVICE) == [1, 3, 5]
    assert await system.count(ROOM) == 3


async def test_frames_are_applied_however_many_ask_for_what_a_partition_knows(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE)
    process.line.before["check"] = lambda: asyncio.sleep(0.001)

    async def ask() -> None:
        while True:
            await system.gateway.device(DEVICE)

    asking = [asyncio.create_task(ask()) for _ in range(8)]
    await system.say(DEVICE, 1)
    await until(lambda: process.shard.reached() > 0, within_s=DEADLINE_S, why="nothing is applied")
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_senders_are_looked_up_while_a_batch_is_applied(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE)
    async with process.shard.turn(1):
        await system.say(DEVICE, 1)


async def test_a_frame_that_cannot_be_decoded_is_passed_over_and_told(system: System) -> None:
    await system.process("a", ALL)
    await system.register(DEVICE)
    system.stream.append(1, b"\xc1 no frame")
    await system.say(DEVICE, 1)
    await system.settled()
    assert await system.history(DEVICE) == [1]
    assert "cannot be decoded" in ((await system.gateway.explain(DEVICE)).last_error or "")


async def test_a_device_that_is_deleted_takes_its_history_with_it_and_late_frames_do_not_bring_it_back(
    system: System,
) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE, NEIGHBOUR)
    await system.say(DEVICE, 1)
    await system.settled()
    process.line.before["fetch"] = halt = Halt()
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    await system.say(DEVICE, 2)
    await system.gateway.delete_device(DEVICE)
    halt.released.set()
    await system.say(NEIGHBOUR, 3)
    await system.settled()
    with pytest.raises(NotFound):
        await system.gateway.device(DEVICE)
    assert (await system.history(DEVICE), await system.history(NEIGHBOUR)) == ([], [3])


async def test_what_is_applied_is_forgotten_by_the_stream(system: System) -> None:
    await system.process("a", ALL)
    await system.register(DEVICE)
    await system.say(DEVICE, 1)
    await until(lambda: not system.stream.log, within_s=DEADLINE_S)
    assert await system.history(DEVICE) == [1]
