"""Partitions that change hands: whoever dies or sleeps meanwhile, what was acknowledged is applied exactly once."""

from __future__ import annotations

import asyncio
import random

import pytest
from chart_harness.waiting import until
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.errors import Unavailable

from tests.unit.services.lifeline import Halt, Times
from tests.unit.services.simulated_loop import simulate
from tests.unit.services.system import ALL, DEADLINE_S, Process, System, ids_of, running

DEVICE = ids_of(1)[0]
ROOM = ids_of(2, "room")[0]
WITHOUT_ROOM = [0, 1, 3]
"""Of another partition than its devices. The first frame that it gets from a device's partition tells who joined."""


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


async def test_a_partition_whose_questions_could_not_be_served_is_not_owned(system: System) -> None:
    """Else the coordinator would see an owner, and nobody would ever answer."""
    process = await system.process("a")
    process.line.before["serve"] = Times(1, Unavailable("the broker is away"))
    with pytest.raises(Unavailable):
        await process.shard.claim(ALL)
    assert await process.owns()
    await process.shard.claim(ALL)
    await system.register(*[ids_of(number)[0] for number in ALL])


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
