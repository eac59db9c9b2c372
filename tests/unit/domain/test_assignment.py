"""Who should own which partition."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.assignment import assign

shards = st.lists(st.sampled_from([f"shard-{number}" for number in range(8)]), unique=True)
counts = st.integers(1, 64)
owners = st.dictionaries(st.integers(0, 80), st.sampled_from([f"shard-{number}" for number in range(10)]))


@given(owners, shards.filter(bool), counts)
def test_every_partition_has_one_of_the_shards(owned: dict[int, str], able: list[str], partitions: int) -> None:
    wanted = assign(owned, able, partitions)
    assert wanted.keys() == set(range(partitions))
    assert set(wanted.values()) <= set(able)


@given(owners, shards.filter(bool), counts)
def test_no_shard_has_more_than_one_partition_more_than_another(
    owned: dict[int, str], able: list[str], partitions: int
) -> None:
    sizes = Counter(assign(owned, able, partitions).values())
    of_each = [sizes[shard] for shard in able]
    assert max(of_each) - min(of_each) <= 1


@given(owners, shards.filter(bool), counts)
def test_nothing_moves_that_need_not(owned: dict[int, str], able: list[str], partitions: int) -> None:
    """As many stay as in the best balanced answer: the larger shares go to the larger owners."""
    wanted = assign(owned, able, partitions)
    stayed = sum(owned.get(partition) == shard for partition, shard in wanted.items())
    share, larger = divmod(partitions, len(able))
    held = sorted((sum(owned.get(one) == shard for one in range(partitions)) for shard in able), reverse=True)
    assert stayed == sum(min(count, share + (rank < larger)) for rank, count in enumerate(held))


@given(owners, shards.filter(bool), counts)
def test_what_is_settled_stays_settled(owned: dict[int, str], able: list[str], partitions: int) -> None:
    wanted = assign(owned, able, partitions)
    assert assign(wanted, able, partitions) == wanted


@given(owners, shards, counts, st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_any_order(
    owned: dict[int, str], able: list[str], partitions: int, random: Random
) -> None:
    entries, names = list(owned.items()), list(able)
    random.shuffle(entries)
    random.shuffle(names)
    assert assign(dict(entries), names, partitions) == assign(owned, able, partitions)


@given(owners, counts)
def test_without_shards_nobody_owns_anything(owned: dict[int, str], partitions: int) -> None:
    assert assign(owned, [], partitions) == {}


def test_a_node_that_leaves_gives_its_partitions_to_the_others_alone() -> None:
    before = assign({}, ["a", "b", "c"], 9)
    after = assign(before, ["a", "c"], 9)
    assert {one for one in before if before[one] != after[one]} == {one for one in before if before[one] == "b"}
