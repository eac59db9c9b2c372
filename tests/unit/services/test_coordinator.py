"""The coordinator: every partition has one owner whatever comes and goes, and nothing moves needlessly."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from chart_harness.waiting import until
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.ports.placement import ShardStatus
from iot_system.services.coordinator import MISSES_UNTIL_DEAD, UNANSWERED_UNTIL_HUNG, Coordinator, newest_owners

from tests.unit.services.memory_placement import MemoryPlacement, World
from tests.unit.services.simulated_loop import simulate

PARTITIONS = 16
DEADLINE_S = 60.0


@asynccontextmanager
async def coordinating(placement: MemoryPlacement, *, shards_per_node: int = 1) -> AsyncIterator[Coordinator]:
    coordinator = Coordinator(placement, partitions=PARTITIONS, shards_per_node=shards_per_node)
    await coordinator.start()
    try:
        yield coordinator
    finally:
        await coordinator.stop()


def is_settled(placement: MemoryPlacement) -> bool:
    """Every partition has exactly one owner, and no shard has two more than another."""
    owners = placement.owners()
    sizes = [len(shard.owned) for shard in placement.all]
    return (
        all(placement.shards.values())
        and sorted(owners) == list(range(PARTITIONS))
        and all(len(names) == 1 for names in owners.values())
        and max(sizes) - min(sizes) <= 1
    )


async def settled(placement: MemoryPlacement) -> None:
    await until(lambda: is_settled(placement), within_s=DEADLINE_S, why=f"not settled: {placement.owners()}")


def has_left(coordinator: Coordinator, node: str) -> Callable[[], Awaitable[bool]]:
    """Ask for it until it is so."""

    async def ask() -> bool:
        return (await coordinator.drain(node)).has_left(node)

    return ask


async def test_every_partition_gets_one_owner_and_the_shares_are_equal() -> None:
    placement = MemoryPlacement(World(), "a", "b", "c")
    async with coordinating(placement, shards_per_node=2):
        await settled(placement)
    assert len(placement.all) == 6


async def test_many_nodes_are_served_in_the_first_round() -> None:
    """A placement may take one question at a time: asking for all nodes at once would fail the round."""
    placement = MemoryPlacement(World(), *(f"node-{number}" for number in range(PARTITIONS)))
    coordinator = Coordinator(placement, partitions=PARTITIONS, shards_per_node=1)
    await coordinator.round()
    assert is_settled(placement)


async def test_in_a_settled_system_nothing_moves() -> None:
    placement = MemoryPlacement(World(), "a", "b", "c")
    coordinator = Coordinator(placement, partitions=PARTITIONS, shards_per_node=1)
    await coordinator.round()
    moves = list(placement.world.moves)
    for _ in range(5):
        await coordinator.round()
    assert placement.world.moves == moves


async def test_a_new_node_gets_its_share_and_nothing_else_moves() -> None:
    placement = MemoryPlacement(World(), "a", "b", "c")
    async with coordinating(placement):
        await settled(placement)
        before = placement.owners()
        placement.shards["d"] = {}
        await settled(placement)
    moved = {number for number, names in placement.owners().items() if names != before[number]}
    assert moved == set(placement.shards["d"]["d-0"].owned)
    assert len(moved) == PARTITIONS // 4


async def test_a_node_that_is_lost_is_replaced_and_the_others_keep_what_they_have() -> None:
    placement = MemoryPlacement(World(), "a", "b", "c")
    async with coordinating(placement):
        await settled(placement)
        before = placement.owners()
        lost = set(placement.shards.pop("b")["b-0"].owned)
        await settled(placement)
    assert {number for number, names in placement.owners().items() if names != before[number]} == lost


async def test_a_shard_that_is_silent_for_a_moment_keeps_its_partitions() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    coordinator = Coordinator(placement, partitions=PARTITIONS, shards_per_node=1)
    await coordinator.round()
    moves = list(placement.world.moves)
    placement.all[0].silent = True
    for _ in range(MISSES_UNTIL_DEAD - 1):
        await coordinator.round()
    placement.all[0].silent = False
    for _ in range(MISSES_UNTIL_DEAD):
        await coordinator.round()
    assert placement.world.moves == moves


async def test_a_shard_that_stays_silent_loses_its_partitions_and_gets_a_share_when_it_is_back() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    async with coordinating(placement):
        await settled(placement)
        silent, other = placement.all
        silent.silent = True
        await until(lambda: len(other.owned) == PARTITIONS, within_s=DEADLINE_S)
        assert len(silent.owned) == PARTITIONS // 2, "it believes to own them still"
        silent.silent = False
        await settled(placement)


async def test_a_shard_that_is_only_starting_holds_up_nobody() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    coordinator = Coordinator(placement, partitions=PARTITIONS, shards_per_node=1)
    for _ in range(MISSES_UNTIL_DEAD):
        await coordinator.round()
    placement.slow.add("c")
    placement.shards["c"] = {}
    lost = placement.shards.pop("b")
    await coordinator.round()
    assert set(placement.shards["a"]["a-0"].owned) >= set(lost["b-0"].owned)


async def test_a_shard_that_hangs_is_told_and_one_that_refuses_is_not() -> None:
    placement = MemoryPlacement(World(), "a", "b", "c")
    coordinator = Coordinator(placement, partitions=PARTITIONS, shards_per_node=1)
    await coordinator.round()
    hanging, refusing, _ = placement.all
    hanging.silent = refusing.refusing = True
    for _ in range(UNANSWERED_UNTIL_HUNG - 1):
        await coordinator.round()
    assert (await coordinator.overview()).problems == {}
    await coordinator.round()
    assert (await coordinator.overview()).problems == {"a": "shard a-0 has not answered 10 times"}
    hanging.silent = False
    await coordinator.round()
    assert (await coordinator.overview()).problems == {}


async def test_what_is_wrong_with_a_shard_reaches_its_node() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    coordinator = Coordinator(placement, partitions=PARTITIONS, shards_per_node=1)
    await coordinator.round()
    placement.all[1].problem = "shard b-0 has read nothing for 70 s"
    await coordinator.round()
    assert (await coordinator.overview()).problems == {"b": "shard b-0 has read nothing for 70 s"}


async def test_where_two_believe_to_own_a_partition_the_newest_epoch_keeps_it() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    async with coordinating(placement):
        await settled(placement)
        old, new = placement.all
        twice = sorted(old.owned)[:4]
        await new.claim(twice)
        await until(lambda: not set(twice) & set(old.owned), within_s=DEADLINE_S)
        await settled(placement)
    releases = [(name, set(numbers) & set(twice)) for name, what, numbers in placement.world.moves if what == "release"]
    assert releases[0] == (old.name, set(twice))


async def test_a_node_that_leaves_is_emptied_first_and_gets_nothing_back() -> None:
    placement = MemoryPlacement(World(), "a", "b", "c")
    async with coordinating(placement) as coordinator:
        await settled(placement)
        await coordinator.drain("b")
        await until(has_left(coordinator, "b"), within_s=DEADLINE_S)
        leaving = placement.shards["b"]["b-0"]
        assert leaving.owned == {}
        assert set(placement.owners()) == set(range(PARTITIONS))
        moves = len(placement.world.moves)
        for _ in range(3):
            await coordinator.drain("b")
            await coordinator.round()
        assert leaving.owned == {}
        assert len(placement.world.moves) == moves


async def test_the_last_node_can_leave_too() -> None:
    placement = MemoryPlacement(World(), "a")
    async with coordinating(placement) as coordinator:
        await settled(placement)
        await until(has_left(coordinator, "a"), within_s=DEADLINE_S)
        assert placement.owners() == {}


async def test_a_coordinator_that_has_just_been_restarted_lets_no_node_leave_before_it_has_looked() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    async with coordinating(placement):
        await settled(placement)
    restarted = Coordinator(placement, partitions=PARTITIONS, shards_per_node=1)
    assert not (await restarted.drain("a")).has_left("a")
    await restarted.round()
    assert not (await restarted.drain("a")).has_left("a"), "seen owning still"
    await restarted.round()
    assert (await restarted.drain("a")).has_left("a")


async def test_a_restarted_coordinator_finds_everything_as_it_was() -> None:
    placement = MemoryPlacement(World(), "a", "b", "c")
    async with coordinating(placement):
        await settled(placement)
    moves = list(placement.world.moves)
    await Coordinator(placement, partitions=PARTITIONS, shards_per_node=1).round()
    assert placement.world.moves == moves


async def test_while_the_head_is_away_everything_stays_and_goes_on_afterwards() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    async with coordinating(placement):
        await settled(placement)
        before = placement.owners()
        placement.away = True
        await until(lambda: placement.refused >= 5, within_s=DEADLINE_S)
        assert placement.owners() == before
        placement.away = False
        del placement.shards["b"]
        await settled(placement)


async def test_a_shard_that_cannot_finish_a_claim_holds_up_nobody_else() -> None:
    placement = MemoryPlacement(World(), "a", "b")
    async with coordinating(placement):
        await until(lambda: len(placement.all) == 2, within_s=DEADLINE_S)
        stuck, other = placement.all
        stuck.stuck = True
        await until(lambda: len(other.owned) >= PARTITIONS // 2, within_s=DEADLINE_S)
        stuck.stuck = False
        await settled(placement)


@pytest.mark.parametrize("shards_per_node", [1, 3])
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_after_any_troubles_every_partition_has_one_owner_again(shards_per_node: int, seed: int) -> None:
    chance = random.Random(seed)

    async def run() -> None:
        placement = MemoryPlacement(World(), "a", "b", "c")
        async with coordinating(placement, shards_per_node=shards_per_node) as coordinator:
            for step in range(8):
                nodes = sorted(placement.shards)
                match chance.randrange(5):
                    case 0:
                        placement.shards[f"new-{step}"] = {}
                    case 1 if len(nodes) > 2:
                        del placement.shards[chance.choice(nodes)]
                    case 2 if len(nodes) > 2:
                        await until(has_left(coordinator, nodes[0]), within_s=DEADLINE_S)
                        del placement.shards[nodes[0]]
                    case 3 if placement.all:
                        chance.choice(placement.all).silent = True
                    case _:
                        await coordinator.overview()
            for shard in placement.all:
                shard.silent = False
            await settled(placement)

    simulate(run())


def test_the_newest_epoch_wins_whatever_the_order() -> None:
    old, new = ShardStatus("old", "a", {1: 4, 2: 9}), ShardStatus("new", "b", {1: 5, 3: 1})
    for statuses in ({"old": old, "new": new}, {"new": new, "old": old}):
        assert newest_owners(statuses) == {1: "new", 2: "old", 3: "new"}
