"""Shards: what is acknowledged is applied exactly once and in order, whoever dies, moves or is away meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from chart_harness.waiting import until
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.actors.time_limit import HANDLERS
from iot_system.domain import questions as q
from iot_system.domain.addresses import Address
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.errors import NotFound, Unavailable
from iot_system.ports.stream import StreamMessage
from iot_system.services.shard import STUCK_S

from tests.unit.services.lifeline import Halt, Times
from tests.unit.services.memory_stream import MemoryReader
from tests.unit.services.simulated_loop import simulate
from tests.unit.services.system import ADMIN, ALL, DEADLINE_S, Process, System, ids_of, running

DEVICE, NEIGHBOUR = ids_of(1)[:2]
ROOM = ids_of(2, "room")[0]
WITHOUT_ROOM = [0, 1, 3]
"""Of another partition than its devices. The first frame that it gets from a device's partition tells who joined."""
AWAY = Unavailable("the database is away")


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running() as one:
        yield one


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


async def test_a_shard_that_dies_between_commit_and_publish_leaves_its_messages_to_the_next(system: System) -> None:
    first = await system.process("a", WITHOUT_ROOM)
    await system.register(DEVICE, room=ROOM)
    first.line.before["publish"] = halt = Halt()
    await system.say(DEVICE, 1, 2)
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    assert await system.history(DEVICE) == [1, 2], "committed"
    first.kill()
    halt.released.set()
    await system.process("b", ALL)
    await until(lambda: system.count(ROOM), within_s=DEADLINE_S)
    await system.say(DEVICE, 3)
    await system.counted(ROOM, 3)
    assert system.between_actors() == [(1, 2)], "what followed needed no broker"


async def test_a_message_published_by_a_shard_that_dies_before_it_knows_is_taken_once(system: System) -> None:
    first = await system.process("a", WITHOUT_ROOM)
    await system.register(DEVICE, room=ROOM)
    first.line.after["publish"] = halt = Halt()
    await system.say(DEVICE, 1, 2)
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    first.kill()
    await system.process("b", ALL)
    await system.counted(ROOM, 2)
    await until(lambda: system.between_actors() == [(1, 2), (1, 2)], within_s=DEADLINE_S)
    await system.say(DEVICE, 3)
    await system.counted(ROOM, 3)


@pytest.mark.parametrize("lost", [1, 2])
async def test_who_shares_a_commit_with_a_partition_that_was_lost_begins_anew(system: System, lost: int) -> None:
    old = await system.process("old", ALL)
    await system.register(DEVICE, room=ROOM)
    await system.settled()
    old.line.before["commit"] = halt = Halt()
    await system.say(DEVICE, 1)
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    await system.process("new", [lost])
    halt.released.set()
    await system.counted(ROOM, 1)
    await system.settled()
    assert await system.history(DEVICE) == [1]
    assert await old.owns(*(number for number in ALL if number != lost))
    assert system.between_actors() == [(1, 2)], "between two shards again"


async def test_a_commit_whose_answer_got_lost_is_repeated_without_harm(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE, room=ROOM)
    process.line.after["commit"] = Times(3, AWAY)
    await system.say(DEVICE, 1, 2)
    await system.settled()
    assert await system.history(DEVICE) == [1, 2]
    assert await system.count(ROOM) == 2


async def test_an_owner_that_was_replaced_while_it_slept_changes_nothing(system: System) -> None:
    old = await system.process("old", ALL)
    await system.register(DEVICE, room=ROOM)
    await system.settled()
    old.line.before["commit"] = halt = Halt()
    await system.say(DEVICE, 1)
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    await system.process("new", ALL)
    await system.say(DEVICE, 2)
    await system.counted(ROOM, 2)
    halt.released.set()
    await until(lambda: old.owns(0, 3), within_s=DEADLINE_S)
    await system.settled()
    assert await system.history(DEVICE) == [1, 2]
    assert await system.count(ROOM) == 2
    between = system.between_actors()
    assert len(between) == len(set(between)), "the old owner sent nothing"


async def test_an_old_owner_says_nothing_to_questions_and_the_new_one_answers(system: System) -> None:
    old = await system.process("old", ALL)
    await system.register(DEVICE)
    await system.process("new", ALL)
    assert (await system.gateway.patch_device(DEVICE, {"room": ROOM})).room == ROOM
    assert await old.owns(0, 2, 3)
    assert (await system.gateway.explain(DEVICE)).shard == "new"


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


async def test_questions_answer_as_soon_as_a_claim_ends_and_never_before_a_state_is_there(system: System) -> None:
    process = await system.process("a", ALL)
    await system.register(DEVICE)
    await process.shard.release(ALL)
    asking = asyncio.create_task(system.gateway.device(DEVICE))
    process.line.after["claim"] = halt = Halt()
    claiming = asyncio.create_task(process.shard.claim(ALL))
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    assert not asking.done()
    halt.released.set()
    await claiming
    assert (await asking).device.id == DEVICE


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


async def test_a_partition_whose_questions_could_not_be_served_is_not_owned(system: System) -> None:
    """Else the coordinator would see an owner, and nobody would ever answer."""
    process = await system.process("a")
    process.line.before["serve"] = Times(1, Unavailable("the broker is away"))
    with pytest.raises(Unavailable):
        await process.shard.claim(ALL)
    assert await process.owns()
    await process.shard.claim(ALL)
    await system.register(*[ids_of(number)[0] for number in ALL])


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


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_under_load_moves_deaths_and_troubles_lose_and_double_nothing(seed: int) -> None:
    """Readings flow to devices of all partitions, while partitions move, shards die, and answers get lost."""
    chance = random.Random(seed)
    rooms = {device: ids_of(chance.choice(ALL), "room")[0] for number in ALL for device in ids_of(number)[:2]}
    rounds, burst = 12, 4

    async def trouble() -> None:
        await asyncio.sleep(chance.choice([0, 0, 0, 0.01, 0.2]))
        if chance.random() < 0.1:
            raise Unavailable("no answer")

    async def one_more(system: System) -> Process:
        process = await system.process(f"shard-{len(system.processes)}")
        make_trouble(process)
        return process

    def make_trouble(process: Process) -> None:
        process.line.before = dict.fromkeys(("commit", "publish", "fetch", "load_devices", "known"), trouble)
        process.line.after = dict.fromkeys(("commit", "publish"), trouble)

    async def something_happens(system: System, alive: list[Process]) -> None:
        match chance.randrange(4):
            case 0:
                alive.append(await one_more(system))
            case 1 if len(alive) > 1:
                alive.pop(chance.randrange(len(alive))).kill()
            case 2:
                await chance.choice(alive).shard.release(chance.sample(ALL, 2))
            case _:
                await asyncio.sleep(chance.random())
        # Somebody takes over, sometimes while another lives that believes to own it still.
        owned = {number for process in alive for number in (await process.shard.status()).owned}
        for number in ALL:
            if number not in owned or chance.random() < 0.3:
                await chance.choice(alive).shard.claim([number])

    async def run() -> None:
        async with running() as system:
            alive = [await system.process("first", ALL)]
            for device, room in rooms.items():
                await system.register(device, room=room)
            make_trouble(alive[0])
            for number in range(rounds):
                for device in rooms:
                    await system.say(device, *range(number * burst, (number + 1) * burst))
                await something_happens(system, alive)
            for process in alive:
                process.line.before, process.line.after = {}, {}
                await process.shard.release(ALL)
            await alive[0].shard.claim(ALL)
            for device, room in rooms.items():
                await system.counted(room, [*rooms.values()].count(room) * rounds * burst)
                assert await system.history(device) == list(range(rounds * burst))

    simulate(run())
