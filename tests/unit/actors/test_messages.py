"""Messages between actors: whoever they are for, once, and in their order; members of rooms; timers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.actors.changes import Changes
from iot_system.actors.routing import addressed
from iot_system.actors.stored import Stored
from iot_system.domain.addresses import Address
from iot_system.domain.commands import OPEN_LIMIT, Command
from iot_system.domain.frames import (
    ActorFrame,
    ActorMessage,
    DesiredChange,
    DeviceFrame,
    Membership,
    NewCommand,
    RoomReadings,
    SignalFrame,
    Told,
    decode_frame,
)
from iot_system.domain.questions import DesiredView
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device, Room
from iot_system.domain.signals import CommandDelivered, Reported
from iot_system.domain.twin import STATE_LIMIT
from iot_system.errors import NotFound, PreconditionFailed

from tests.unit.actors.sample_behaviours import HERE
from tests.unit.actors.world import S, World

HALL = Room(id="hall", behaviour=f"{HERE}:Warden")


def command(device: str, id_: str = "c") -> Command:
    return Command(id=id_, device=device, name="open", created_us=0, updated_us=0, expires_us=60 * S)


@pytest.mark.parametrize("partitions", [1, 2, 5])
def test_a_reading_goes_to_the_room_whichever_partition_that_is_in(partitions: int) -> None:
    world = World(Device(id="a", room="hall"), Device(id="b", room="hall"), rooms=[HALL], partitions=partitions)
    world.send("a", {"temperature": 20, "humidity": 50}, time_us=1)
    world.send("b", {"temperature": 21}, time_us=2)
    room = world.room("hall")
    assert room.members == {"a": 1, "b": 2}
    assert room.metrics["temperature"].count == 2
    assert room.extra["a"] == {"temperature": 20, "humidity": 50}
    assert room.extra["joined"] == {"a": True, "b": True}


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 6)), max_size=40))
def test_a_message_is_taken_once_whatever_the_broker_repeats(arrivals: list[tuple[int, int]]) -> None:
    world = World(Device(id="x", behaviour=f"{HERE}:Diary"), partitions=1)
    last, expected = {0: 0, 1: 0}, []
    for source, number in arrivals:
        told = Told(Address("device", "x"), Address("room", "hall"), "n", [source, number], 0)
        world.arrive(number, told, source=source)
        if number > last[source]:
            last[source] = number
            expected.append(["message", "rooms/hall", "n", [source, number]])
    assert world.device("x").extra.get("calls", []) == expected


def test_a_behaviour_tells_any_actor_anything_in_its_order() -> None:
    world = World(
        Device(id="a", behaviour=f"{HERE}:Forwarding"), Device(id="twin", behaviour=f"{HERE}:Diary"), rooms=[HALL]
    )
    world.send("a", {"one": 1, "two": [2]})
    assert world.room("hall").extra["heard"] == [["devices/a", "one", 1], ["devices/a", "two", [2]]]
    assert world.device("twin").extra["calls"] == [
        ["message", "devices/a", "one", 1],
        ["message", "devices/a", "two", [2]],
    ]


def test_a_message_for_a_device_that_is_gone_is_lost_without_harm() -> None:
    world = World(Device(id="a", behaviour=f"{HERE}:Forwarding"), rooms=[HALL])
    world.send("a", {"one": 1})
    assert world.failures == []
    assert len(world.room("hall").extra["heard"]) == 1


def test_a_room_s_behaviour_wants_something_of_all_its_devices() -> None:
    world = World(Device(id="a", room="hall"), Device(id="b", room="hall"), Device(id="c"), rooms=[HALL])
    world.connect("b")
    world.send("a", {"temperature": 31})
    assert world.room("hall").desired == {"door": "shut"}
    assert [world.device(id_).desired for id_ in "abc"] == [{"door": "shut"}, {"door": "shut"}, {}]
    desired = world.deliveries[-1].desired
    assert desired is not None
    assert (world.deliveries[-1].device, desired.state) == ("b", {"door": "shut"})
    assert world.of_kind("room", "hall") == [{"desired": {"door": "shut"}, "version": 1, "by": "rooms/hall"}]


def test_a_room_s_behaviour_gives_a_command_to_each_of_its_devices() -> None:
    world = World(
        Device(id="a", room="hall"),
        Device(id="b", room="hall"),
        Device(id="asker", behaviour=f"{HERE}:Forwarding"),
        rooms=[HALL],
    )
    world.connect("a")
    world.send("asker", {"open": 5})
    assert {(one.device, one.payload, one.status) for one in world.commands.values()} == {
        ("a", 5, "sent"),
        ("b", 5, "queued"),
    }
    assert {one.room for one in world.commands.values()} == {"hall"}


def test_a_user_s_wish_for_a_room_reaches_its_devices_and_those_that_join_later() -> None:
    world = World(Device(id="a", room="hall"), Device(id="late"), rooms=[HALL])
    view = world.change("hall", "patch_room_desired", "hall", {"light": 5}, if_version=0, by="anna")
    assert view == DesiredView({"light": 5}, 1)
    with pytest.raises(PreconditionFailed):
        world.change("hall", "patch_room_desired", "hall", {"light": 6}, if_version=0, by="anna")
    world.change("late", "change_registration", Device(id="late"), Device(id="late", room="hall"))
    assert [world.device(id_).desired for id_ in ("a", "late")] == [{"light": 5}, {"light": 5}]
    assert world.of_kind("twin", "a") == [{"desired": {"light": 5}, "version": 1, "by": "anna"}]
    assert world.of_kind("twin", "late") == [{"desired": {"light": 5}, "version": 1, "by": "rooms/hall"}]
    with pytest.raises(NotFound):
        world.change("nowhere", "patch_room_desired", "nowhere", {}, if_version=None, by="anna")


def test_a_device_that_moves_is_a_member_of_its_new_room_alone() -> None:
    before, after = Device(id="a", room="hall"), Device(id="a", room="yard")
    world = World(before, rooms=[HALL, Room(id="yard")])
    world.send("a", {"t": 1}, time_us=5)
    world.change("a", "change_registration", before, after)
    world.send("a", {"t": 2}, time_us=6)
    assert (world.room("hall").members, world.room("yard").members) == ({}, {"a": 6})
    assert world.room("hall").extra["joined"] == {"a": False}
    world.change("a", "change_registration", after, None)
    assert world.room("yard").members == {}
    assert world.room("yard").metrics["t"].count == 1


def test_a_change_that_does_not_move_a_device_tells_no_room() -> None:
    device = Device(id="a", room="hall")
    world = World(device, rooms=[HALL])
    changes = Changes()
    labelled = Device(id="a", room="hall", labels={"x": "y"})
    world.owner("a").change_registration(device, labelled, changes, now_us=1)
    assert changes.messages == []
    assert world.owner("a").devices["a"].device.labels == {"x": "y"}


def test_a_command_for_a_device_that_is_gone_or_has_too_many_is_told_as_failed() -> None:
    world = World(Device(id="x"), partitions=1)
    world.arrive(1, NewCommand(command("gone")))
    assert [(one["status"], one["reason"]) for one in world.of_kind("command", "gone")] == [
        ("failed", "the device is not registered")
    ]
    for number in range(OPEN_LIMIT):
        world.put("x", f"c{number}")
    world.arrive(2, NewCommand(command("x", "more")), NewCommand(command("x", "c0")))
    assert world.of_kind("command", "x")[-1]["status"] == "failed"
    assert len(world.commands) == OPEN_LIMIT
    assert world.device("x").errors == 1


def test_a_wish_of_an_actor_that_cannot_be_kept_is_dropped_and_told() -> None:
    world = World(Device(id="x"), partitions=1)
    world.arrive(1, DesiredChange("x", {"a": "x" * STATE_LIMIT}, "rooms/hall"), DesiredChange("x", {"b": 1}, "r"))
    assert world.device("x").desired == {"b": 1}
    assert "a change of the desired state by rooms/hall was dropped" in world.of_kind("error")[0]["error"]


def test_what_a_frame_needs_in_memory_is_known_from_the_frame() -> None:
    messages: list[ActorMessage] = [
        RoomReadings("r1", []),
        Told(Address("device", "d1"), Address("room", "x"), "n", None, 0),
        Told(Address("room", "r2"), Address("room", "x"), "n", None, 0),
        DesiredChange("d2", {}, "x"),
        NewCommand(command("d3")),
        Membership("r3", "x", joined=True),
    ]
    assert addressed(ActorFrame(0, 1, messages)) == ({"d1", "d2", "d3"}, {"r1", "r2", "r3"})
    assert addressed(DeviceFrame([Telemetry("d1", 1, {"t": 1})])) == ({"d1"}, set())
    assert addressed(SignalFrame([Reported("d1", {}, 1), CommandDelivered("d2", "c", 1)])) == ({"d1", "d2"}, set())


def test_messages_and_readings_keep_their_order_within_a_commit() -> None:
    before, after = Device(id="a", room="hall"), Device(id="a", room="yard")
    world = World(before, rooms=[HALL], partitions=1)
    actors, changes = world.owner("a"), Changes()
    for time_us, change in ((1, None), (2, (before, after)), (3, (after, before)), (4, None)):
        if change:
            actors.change_registration(*change, changes, now_us=0)
        actors.receive_telemetry([Telemetry("a", time_us, {"t": time_us})], changes, stored=Stored(), now_us=0)
    actors.seal(changes)
    [(_, _, data)] = changes.outbox
    frame = decode_frame(data)
    assert isinstance(frame, ActorFrame)
    assert frame.messages == [
        RoomReadings("hall", [("a", 1, {"t": 1})]),
        Membership("hall", "a", joined=False),
        Membership("yard", "a", joined=True),
        RoomReadings("yard", [("a", 2, {"t": 2})]),
        Membership("yard", "a", joined=False),
        Membership("hall", "a", joined=True),
        RoomReadings("hall", [("a", 3, {"t": 3}), ("a", 4, {"t": 4})]),
    ]


def test_new_readings_are_told_to_those_who_listen_only() -> None:
    world = World(Device(id="d", room="hall"), rooms=[HALL])
    message = Telemetry("d", 5, {"t": 1, "h": 2})
    for listening in (False, True):
        changes = Changes(listening=listening)
        world.owner("d").receive_telemetry([message], changes, stored=Stored(), now_us=9)
        assert [(one.device, one.room, one.time_us, one.values) for one in changes.heard] == (
            [("d", "hall", 6, {"t": 1, "h": 2})] if listening else []
        )
        message = Telemetry("d", 6, {"t": 1, "h": 2})
