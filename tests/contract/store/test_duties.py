"""What a new owner begins with: revisions, timers, connections; and the failures of behaviours."""

from __future__ import annotations

import pytest
from iot_system.domain.addresses import Address
from iot_system.domain.history import Reading
from iot_system.domain.questions import Failure
from iot_system.domain.twin import DeviceState
from iot_system.errors import Conflict
from iot_system.ports.store import FAILURES_KEPT, Claim, OutboxMessage, Store

from tests.contract.store.owner import STREAM, Owner

DEVICE, ROOM = Address("device", "hall"), Address("room", "hall")


async def claimed(owner: Owner) -> Claim:
    return (await Owner.of(owner.store)).claim


async def test_a_change_without_frames_moves_the_revision_alone(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit()
    await owner.change(devices={"d": DeviceState(seq=1)}, outbox=[OutboxMessage(3, 1, b"x")])
    claim = await claimed(owner)
    assert (claim.revision, claim.applied) == (3, 1)


async def test_the_same_change_again_changes_nothing(owner: Owner) -> None:
    await owner.register("d")
    again = await owner.change(devices={"d": DeviceState(seq=1)}, outbox=[OutboxMessage(3, 1, b"x")])
    await owner.change(devices={"d": DeviceState(seq=2)}, published={3: 1})
    await owner.store.commit([again])
    assert (await owner.store.load_devices(["d"]))["d"][1].seq == 2
    assert list((await claimed(owner)).outbox) == []


async def test_a_frame_after_changes_needs_the_next_revision(owner: Owner) -> None:
    await owner.register("d")
    early = owner.frame([Reading("d", "t", 1, 1.0)])
    await owner.change(devices={"d": DeviceState(seq=1)})
    await owner.change(devices={"d": DeviceState(seq=2)})
    early.revision = 5
    with pytest.raises(Conflict, match="partition 0 is at revision 3; commit 5 does not fit"):
        await owner.store.commit([early])
    assert await owner.store.applied(STREAM) == {0: 0}


async def test_a_new_stream_keeps_the_revision(owner: Owner) -> None:
    await owner.commit()
    claim = (await Owner.of(owner.store, stream="another")).claim
    assert (claim.revision, claim.applied) == (1, 0)


async def test_a_new_owner_hears_when_actors_are_due(owner: Owner) -> None:
    other = await Owner.of(owner.store, 1)
    await owner.change(timers={DEVICE: 5, ROOM: 6})
    await other.change(timers={Address("room", "cellar"): 1})
    assert (await claimed(owner)).timers == {DEVICE: 5, ROOM: 6}
    owner = await Owner.of(owner.store)
    await owner.change(timers={DEVICE: 9, ROOM: None})
    assert (await claimed(owner)).timers == {DEVICE: 9}
    assert (await Owner.of(owner.store, 1)).claim.timers == {Address("room", "cellar"): 1}


async def test_a_new_owner_hears_who_is_connected_where(owner: Owner) -> None:
    await owner.register("a", "b", "c")
    await owner.change(connections={"a": "one", "b": "two", "c": "one", "not registered": "one"})
    assert (await claimed(owner)).connections == {"one": ["a", "c"], "two": ["b"]}
    owner = await Owner.of(owner.store)
    await owner.change(connections={"a": "two", "c": None, "not registered": None})
    assert (await claimed(owner)).connections == {"two": ["a", "b"]}


async def test_an_actor_that_is_removed_leaves_no_duties(owner: Owner) -> None:
    await owner.register("hall", "d")
    failures = [Failure(actor=one, time_us=1, handler="h", error="e", message="m") for one in (DEVICE, ROOM)]
    await owner.change(timers={DEVICE: 5, ROOM: 6}, connections={"hall": "one", "d": "one"}, failures=failures)
    await owner.remove(DEVICE)
    claim = await claimed(owner)
    assert (claim.timers, claim.connections) == ({ROOM: 6}, {"one": ["d"]})
    assert await owner.store.failures(DEVICE) == []
    assert await owner.store.failures(ROOM) == [failures[1]]
    owner = await Owner.of(owner.store)
    await owner.remove(ROOM)
    assert (await claimed(owner)).timers == {}


async def test_the_newest_failures_of_each_actor_are_kept(owner: Owner) -> None:
    def failures(actor: Address, *times: int) -> list[Failure]:
        return [Failure(actor=actor, time_us=t, handler="on_reading", error="E('x')", message="{}") for t in times]

    for start in range(0, 30, 10):
        await owner.change(failures=[*failures(DEVICE, *range(start, start + 10)), *failures(ROOM, start)])
    kept = range(30 - FAILURES_KEPT, 30)
    assert await owner.store.failures(DEVICE) == failures(DEVICE, *reversed(kept))
    assert await owner.store.failures(ROOM) == failures(ROOM, 20, 10, 0)


async def test_a_failure_whose_text_no_column_holds_is_kept_all_the_same(owner: Owner) -> None:
    await owner.change(failures=[Failure(actor=ROOM, time_us=1, handler="h", error="a\0b", message="\ud800")])
    (found,) = await owner.store.failures(ROOM)
    assert (found.error, found.message) == ("a\ufffdb", "?")


async def test_a_store_without_an_archive_lacks_none(store: Store) -> None:
    assert await store.unarchived_s() == 0
