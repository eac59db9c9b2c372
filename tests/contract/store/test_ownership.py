"""Claims, epochs, and the commit that is applied once or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from iot_system.domain.history import HistoryQuery, Reading
from iot_system.domain.registry import Credential, Device, Room
from iot_system.domain.twin import Aggregate, DeviceState, Latest, RoomState
from iot_system.errors import Conflict, Fenced
from iot_system.ports.store import Guard, OutboxMessage, PartitionCommit, Store

from tests.contract.store.owner import STREAM, Owner

Opener = Callable[[], Awaitable[Store]]
LAST = 64 * 500


async def times_of(store: Store, device: str) -> list[int]:
    return [reading.time_us for reading in (await store.readings(HistoryQuery(device=device))).items]


async def test_a_partition_never_claimed_begins_at_nothing(store: Store) -> None:
    claims = await store.claim([3, 1], "a", STREAM)
    assert {number: (claim.epoch, claim.applied) for number, claim in claims.items()} == {1: (1, 0), 3: (1, 0)}
    assert all((claim.received, claim.sent, list(claim.outbox)) == ({}, {}, []) for claim in claims.values())


async def test_each_claim_gets_the_next_epoch(store: Store) -> None:
    assert [(await Owner.of(store)).claim.epoch for _ in range(3)] == [1, 2, 3]


async def test_the_next_owner_goes_on_where_the_last_commit_ended(store: Store, another: Opener) -> None:
    first = await Owner.of(store, 7)
    await first.commit(received={2: 1}, outbox=[OutboxMessage(5, 1, b"a"), OutboxMessage(4, 1, b"b")])
    await first.commit(received={2: 2, 9: 1}, outbox=[OutboxMessage(5, 2, b"c")])
    claim = (await Owner.of(await another(), 7)).claim
    assert (claim.applied, claim.received) == (2, {2: 2, 9: 1})
    assert claim.sent == {5: 2, 4: 1}
    assert list(claim.outbox) == [OutboxMessage(4, 1, b"b"), OutboxMessage(5, 1, b"a"), OutboxMessage(5, 2, b"c")]


async def test_numbers_between_actors_add_up_over_commits_of_every_sort(
    owner: Owner, store: Store, another: Opener
) -> None:
    beside = await Owner.of(store, 1)
    await owner.change(received={2: 1}, sent={5: 1})
    await owner.commit([Reading("d", "m", 1, 1.5)], received={3: 1})
    await owner.change(received={2: 2})
    await store.commit([one := owner.frame(sent={6: 4}), beside.frame(sent={0: 1})])
    owner.took(one)
    await store.commit([one])
    await owner.change(sent={5: 3, 7: 1})
    (claim,) = (await (await another()).claim([0], "next", STREAM)).values()
    assert (claim.received, claim.sent) == ({2: 2, 3: 1}, {5: 3, 6: 4, 7: 1})


async def test_what_is_published_leaves_the_outbox_but_its_number_stays(owner: Owner) -> None:
    await owner.commit(outbox=[OutboxMessage(5, number, b"x") for number in (1, 2, 3)])
    await owner.commit(published={5: 2})
    claim = (await Owner.of(owner.store)).claim
    assert list(claim.outbox) == [OutboxMessage(5, 3, b"x")]
    assert claim.sent == {5: 3}


async def test_another_stream_begins_at_its_beginning_and_keeps_the_numbers_between_actors(owner: Owner) -> None:
    await owner.commit(received={2: 7}, outbox=[OutboxMessage(5, 1, b"a")])
    claim = (await Owner.of(owner.store, stream="stream-2")).claim
    assert (claim.applied, claim.received, claim.sent) == (0, {2: 7}, {5: 1})
    assert await owner.store.applied("stream-2") == {0: 0}


async def test_applied_tells_every_claimed_partition(store: Store) -> None:
    one, _ = await Owner.of(store, 1), await Owner.of(store, 2)
    await one.commit()
    assert await store.applied(STREAM) == {1: 1, 2: 0}


async def test_a_position_of_a_lost_stream_counts_for_nothing_in_the_new_one(store: Store) -> None:
    # Else what the new stream holds would be trimmed before anybody has claimed the partition.
    one = await Owner.of(store, 1)
    await one.commit()
    await Owner.of(store, 2, stream="stream-2")
    assert await store.applied("stream-2") == {1: 0, 2: 0}


async def test_the_same_commit_again_changes_nothing(owner: Owner) -> None:
    await owner.register("d")
    state, changed = DeviceState(seq=1), DeviceState(seq=2)
    commit = await owner.commit(
        [Reading("d", "t", 10, 1.0)],
        devices={"d": state},
        rooms={"r": RoomState(members={"d": 1})},
        received={3: 1},
        outbox=[OutboxMessage(5, 1, b"a")],
    )
    await owner.commit(devices={"d": changed}, rooms={"r": RoomState(members={"d": 2})}, published={5: 1})
    await owner.store.commit([commit])
    (_, stored, _) = (await owner.store.load_devices(["d"]))["d"]
    assert stored == changed
    assert (await owner.store.load_rooms(["r"]))["r"][1].members == {"d": 2}
    assert await times_of(owner.store, "d") == [10]
    claim = (await Owner.of(owner.store)).claim
    assert (claim.applied, list(claim.outbox), claim.received) == (2, [], {3: 1})


async def test_a_repeated_commit_lets_the_new_ones_beside_it_through(store: Store) -> None:
    one, two = await Owner.of(store, 1), await Owner.of(store, 2)
    await one.register("a")
    await two.register("b")
    again = await one.commit([Reading("a", "t", 1, 1.0)])
    await store.commit([again, two.frame([Reading("b", "t", 2, 2.0)])])
    assert (await times_of(store, "a"), await times_of(store, "b")) == ([1], [2])


async def test_a_commit_that_leaves_a_revision_out_is_refused(owner: Owner) -> None:
    await owner.commit()
    gap = PartitionCommit(partition=0, epoch=owner.claim.epoch, revision=3, applied=6)
    with pytest.raises(Conflict, match="partition 0 is at revision 1; commit 3 does not fit"):
        await owner.store.commit([gap])
    assert await owner.store.applied(STREAM) == {0: 1}


async def test_an_old_owner_writes_nothing_and_hears_which_partitions_it_lost(store: Store, another: Opener) -> None:
    old = [await Owner.of(store, number, name="old") for number in (1, 2, 3)]
    await old[0].register("a")
    await old[1].register("b")
    new = await Owner.of(await another(), 2, name="new")
    with pytest.raises(Fenced) as fenced:
        await store.commit(
            [
                old[0].frame([Reading("a", "t", 1, 1.0)], devices={"a": DeviceState(seq=1)}),
                old[1].frame(),
                old[2].frame(),
            ]
        )
    assert fenced.value.partitions == {2}
    assert await times_of(store, "a") == []
    assert await store.applied(STREAM) == {1: 0, 2: 0, 3: 0}
    await new.commit([Reading("b", "t", 1, 1.0)])
    assert await times_of(store, "b") == [1]


async def test_an_old_owner_writes_nothing_outside_the_stream_either(owner: Owner) -> None:
    await owner.register("d")
    old = owner.guard
    await Owner.of(owner.store, name="new")
    store, credential = owner.store, Credential(id="c", device="d", sha256=b"x", created_us=1)
    for write in (
        store.add_credential(old, credential),
        store.delete_credential(old, "d", "c"),
    ):
        with pytest.raises(Fenced):
            await write
    page = await store.list_devices(room=None, label=None, limit=10, cursor=None)
    assert page.items == [Device(id="d")]


async def test_an_old_owner_hears_that_it_is_one(store: Store, another: Opener) -> None:
    old = [await Owner.of(store, number, name="old") for number in (1, 2)]
    await store.check([one.guard for one in old])
    await Owner.of(await another(), 2, name="new")
    with pytest.raises(Fenced) as fenced:
        await store.check([*(one.guard for one in old), Guard(7, 1)])
    assert fenced.value.partitions == {2, 7}


async def test_a_partition_that_was_never_claimed_belongs_to_nobody(store: Store) -> None:
    with pytest.raises(Fenced):
        await store.commit([PartitionCommit(partition=8, epoch=1, revision=1, applied=1)])
    with pytest.raises(Fenced):
        await store.add_credential(Guard(8, 1), Credential(id="c", device="d", sha256=b"x", created_us=1))


async def test_of_two_racing_owners_every_frame_is_applied_once(store: Store, another: Opener) -> None:
    """Both claim over and over and apply what comes next; time is the position, so a frame lost or doubled shows."""
    setter = await Owner.of(store)
    await setter.register("d")
    goal = 40

    async def own(name: str, mine: Store) -> int:
        applied = 0
        while True:
            owner = await Owner.of(mine, name=name)
            try:
                for _ in range(5):
                    if owner.position == goal:
                        return applied
                    at = owner.position + 1
                    await owner.commit([Reading("d", "t", at, float(at))], devices={"d": DeviceState(seq=at)})
                    applied += 1
            except Fenced:
                continue

    async with asyncio.timeout(60):
        applied = await asyncio.gather(own("a", store), own("b", await another()))
    assert sum(applied) == goal
    assert await times_of(store, "d") == list(range(1, goal + 1))


async def test_commits_of_different_partitions_at_once_are_all_there(store: Store, another: Opener) -> None:
    other = await another()
    owners = [await Owner.of(mine, number) for number, mine in enumerate([store, other, store, other])]
    for number, one in enumerate(owners):
        await one.register(f"d{number}")

    async def commit(number: int) -> None:
        for time_us in range(10):
            # The same new metric for all, so that they meet there.
            await owners[number].commit([Reading(f"d{number}", f"metric-{time_us}", time_us, 1.0)])

    await asyncio.gather(*(commit(number) for number in range(4)))
    for number in range(4):
        assert await times_of(store, f"d{number}") == list(range(10))


async def test_states_come_back_as_they_were(owner: Owner, another: Opener) -> None:
    device = DeviceState(
        values={"t": 21.5, "n": 3, "b": True, "j": {"a": [1, 2.5, None]}},
        times={"t": 5, "n": 6, "b": 7, "j": 8},
        reported={"on": True, "depth": {"x": 1.0}},
        reported_version=3,
        last_seen_us=8,
        boot="b1",
        seq=2**63 - 1,
        recent_ids=("x", "y"),
        extra={"seen": 1},
    )
    room = RoomState(metrics={"t": Aggregate(Latest(5, 21.5), "d", 2, 2, 20.0, 21.5, 41.5)}, members={"d": 5})
    await owner.register("d", "fresh")
    await owner.commit(devices={"d": device}, rooms={"r": room})
    store = await another()
    devices = await store.load_devices(["d", "fresh", "unknown"])
    assert devices == {"d": (Device(id="d"), device, []), "fresh": (Device(id="fresh"), DeviceState(), [])}
    assert type(devices["d"][1].latest["n"].value) is int
    assert await store.load_rooms(["r", "unknown"]) == {"r": (Room(id="r"), room)}


async def test_states_and_readings_of_devices_that_are_not_registered_are_left_out(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit(
        [Reading("d", "t", 1, 1.0), Reading("gone", "t", 1, 1.0)],
        devices={"d": DeviceState(seq=1), "gone": DeviceState(seq=1)},
    )
    assert (await times_of(owner.store, "d"), await times_of(owner.store, "gone")) == ([1], [])
    await owner.register("gone")
    assert (await owner.store.load_devices(["gone"]))["gone"] == (Device(id="gone"), DeviceState(), [])


async def test_a_large_commit_is_whole(owner: Owner) -> None:
    ids = [f"d{number}" for number in range(1000)]
    await owner.register(*ids)
    readings = [Reading(id_, f"m{m}", time_us, 1.5) for id_ in ids for m in range(4) for time_us in range(8)]
    assert len(readings) == LAST
    await owner.commit(readings, devices={id_: DeviceState(seq=7) for id_ in ids})
    assert len((await owner.store.readings(HistoryQuery(device="d999"))).items) == 32
    assert len(await owner.store.known(readings)) == LAST
