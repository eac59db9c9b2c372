"""A store, a stream or a broker that is away or lost costs a shard time, and nothing that was acknowledged."""

from __future__ import annotations

import asyncio

import pytest
from chart_harness.waiting import until
from iot_system.errors import Unavailable
from iot_system.services.shard import STUCK_S

from tests.unit.services.lifeline import Halt, Times
from tests.unit.services.system import ALL, DEADLINE_S, System, ids_of

DEVICE = ids_of(1)[0]
ROOM = ids_of(2, "room")[0]
AWAY = Unavailable("the database is away")


async def test_a_commit_whose_answer_got_lost_is_repeated_without_harm(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE, room=ROOM)
    process.line.after["commit"] = Times(3, AWAY)
    await system.say(DEVICE, 1, 2)
    await system.settled()
    assert await system.history(DEVICE) == [1, 2]
    assert await system.count(ROOM) == 2


async def test_a_store_that_is_away_for_long_costs_time_and_nothing_else(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE, room=ROOM)
    process.line.before["commit"] = Times(int(3 * STUCK_S / 0.5), AWAY)
    await system.say(DEVICE, 1)
    started_s = asyncio.get_running_loop().time()
    while not await system.history(DEVICE):
        assert process.shard.why_not_alive() is None, "a restart would not bring the database back"
        await asyncio.sleep(5)
    assert asyncio.get_running_loop().time() - started_s > 2 * STUCK_S
    await system.settled()
    assert await system.count(ROOM) == 1


async def test_a_claim_after_a_long_time_without_partitions_is_no_reason_to_restart(system: System) -> None:
    process = await system.process("a")
    await asyncio.sleep(10 * STUCK_S)
    await process.shard.claim(ALL)
    assert process.shard.why_not_alive() is None


async def test_a_loop_that_hangs_is_told(system: System) -> None:
    process = await system.process("a", ALL)
    process.line.before["fetch"] = Halt()
    await asyncio.sleep(STUCK_S + 5)
    assert "shard a has not turned for" in (process.shard.why_not_alive() or "")


async def test_a_shard_stops_although_the_store_is_away(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE, room=ROOM)
    process.line.before["commit"] = Times(1_000_000, AWAY)
    await system.say(DEVICE, 1)
    async with asyncio.timeout(DEADLINE_S):
        await process.shard.stop()
        await process.shard.stop()
    await system.process("b", ALL)
    await system.counted(ROOM, 1)


async def test_a_stream_that_was_lost_is_begun_anew_by_every_shard_and_what_it_then_gets_is_applied(
    system: System,
) -> None:
    await system.process("a", [0, 1])
    await system.process("b", [2, 3])
    await system.register(DEVICE, room=ROOM)
    for time in range(1, 10):
        await system.say(DEVICE, time)
    await system.counted(ROOM, 9)
    system.stream.replace("second")
    await system.say(DEVICE, 10)
    await system.say(DEVICE, 11)
    await system.counted(ROOM, 11)
    assert await system.history(DEVICE) == list(range(1, 12))
    assert await system.store.applied("first") == dict.fromkeys(ALL, 0)


async def test_frames_of_a_lost_stream_that_were_read_ahead_move_no_position_in_the_next(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE)
    process.line.before["commit"] = halt = Halt()
    await system.say(DEVICE, 1)
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    await system.say(DEVICE, 2)
    system.stream.replace("second")
    following = asyncio.create_task(process.shard.follow_stream())
    await asyncio.sleep(0.1)
    halt.released.set()
    await following
    for time in range(3, 6):
        await system.say(DEVICE, time)
    await system.settled()
    assert [time for time in await system.history(DEVICE) if time > 2] == [3, 4, 5]


@pytest.mark.parametrize("fault", ["commit", "load_devices", "known"])
async def test_a_store_that_fails_in_an_unforeseen_way_is_asked_again_after_a_new_claim(
    system: System, fault: str
) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE, room=ROOM)
    await system.say(DEVICE, 1)
    await system.settled()
    process.shard.partition(1).actors.devices.clear()
    process.line.before[fault] = Times(1, RuntimeError("a defect"))
    await system.say(DEVICE, 1, 2)
    await until(lambda: not process.shard.owns(1), within_s=DEADLINE_S)
    await process.shard.claim(ALL)
    await system.settled()
    assert await system.history(DEVICE) == [1, 2]
    assert await system.count(ROOM) == 2
