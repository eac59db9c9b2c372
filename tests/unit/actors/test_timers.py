"""Timers: once, at their time, whoever owns the actor by then."""

from __future__ import annotations

from iot_system.actors.changes import Changes
from iot_system.actors.partition import PartitionActors
from iot_system.domain.addresses import Address
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import RoomState

from tests.unit.actors.sample_behaviours import HERE
from tests.unit.actors.world import S, World

HALL = Room(id="hall", behaviour=f"{HERE}:Warden")


def test_a_timer_goes_off_once_at_its_time_also_after_a_restart() -> None:
    world = World(rooms=[HALL])
    world.change("hall", "patch_room_desired", "hall", {"after_s": 10}, if_version=None, by="anna")
    world.wait(9)
    world.restart()
    assert world.of_kind("alert") == []
    world.wait(50)
    assert world.of_kind("alert") == [
        {"name": "later", "severity": "info", "active": True, "payload": {"room": "hall"}}
    ]
    assert [event.time_us for event in world.events if event.kind == "alert"] == [10 * S]
    assert world.room("hall").timers == {}


def test_a_timer_that_is_set_again_counts_from_then_on() -> None:
    world = World(rooms=[HALL])
    for after_s in (10, 11):
        world.change("hall", "patch_room_desired", "hall", {"after_s": after_s}, if_version=None, by="anna")
        world.wait(9)
    assert world.of_kind("alert") == []
    world.wait(2)
    assert len(world.of_kind("alert")) == 1


def test_timers_are_known_from_the_claim_and_only_changes_are_written() -> None:
    address = Address("room", "hall")
    actors = PartitionActors(0, received={}, sent={}, partition_of=lambda _: 0, timers={address: 7 * S})
    assert actors.next_due_us() == 7 * S
    assert actors.due(7 * S - 1) == []
    assert actors.due(7 * S) == [address]
    actors.activate_room(HALL, RoomState(timers={"later": 7 * S, "much later": 70 * S}))
    changes = Changes()
    actors.fire(address, changes, now_us=8 * S)
    actors.seal(changes)
    assert changes.timers == {address: 70 * S}
    again = Changes()
    actors.fire(address, again, now_us=9 * S)
    actors.seal(again)
    assert again.timers == {}


def test_an_actor_that_is_due_and_gone_is_never_due_again() -> None:
    address = Address("device", "gone")
    actors = PartitionActors(0, received={}, sent={}, partition_of=lambda _: 0, timers={address: 7})
    changes = Changes()
    actors.fire(address, changes, now_us=8)
    actors.seal(changes)
    assert changes.timers == {address: None}
    assert actors.next_due_us() is None


def test_a_timer_that_another_one_cancels_or_sets_when_both_are_due_does_not_go_off_with_it() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Chained"), now_us=S)
    world.connect("d")
    world.now_us += 100 * S  # all are due, and nobody fired them
    world.wait(0)
    assert world.device("d").reported == {"fired": "first"}
    assert world.device("d").timers == {"third": world.now_us + S}
    world.wait(1)
    assert world.device("d").reported == {"fired": "third"}
