"""What an actor keeps is bounded; over the bound it says so and goes on."""

from __future__ import annotations

from iot_system.domain.frames import Membership, RoomReadings
from iot_system.domain.readings import METRICS_LIMIT
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import LATEST_LIMIT, MEMBERS_LIMIT, ROOM_METRICS_LIMIT

from tests.unit.actors.world import World


def test_the_257th_metric_of_a_device_is_refused_and_told_once_per_message() -> None:
    world = World(Device(id="d", room="hall"), rooms=[Room(id="hall")])
    world.send("d", {f"m{number}": 1 for number in range(METRICS_LIMIT)})
    world.now_us += 1
    changes = world.send("d", {"m0": 2, "one": 1, "two": 1})
    assert [metric for message in changes.readings for metric in message.values] == ["m0"]
    assert len(world.device("d").latest) == len(world.room("hall").metrics) == METRICS_LIMIT
    assert [one["error"] for one in world.of_kind("error")] == [
        "a reading was refused: metric 'one' would be one more than 256, the limit of a device (and 1 more)"
    ]
    assert world.device("d").errors == 1


def test_texts_and_objects_that_are_too_large_together_are_refused() -> None:
    world = World(Device(id="d"), now_us=1)
    for number in range(LATEST_LIMIT // 65_000):
        assert len(world.send("d", {f"m{number}": "x" * 64_900}).readings) == 1
    refused = world.send("d", {"more": {"x": "x" * 60_000}, "short": "y" * 1000})
    assert [metric for message in refused.readings for metric in message.values] == ["short"]
    assert (
        "the newest texts and objects of the device would be too large with metric 'more'"
        in (world.of_kind("error")[0]["error"])
    )
    world.now_us += 1
    assert len(world.send("d", {"m0": "x" * 10}).readings) == 1
    world.now_us += 1
    assert len(world.send("d", {"more": {"x": "x" * 60_000}}).readings) == 1


def test_a_room_that_is_full_of_devices_or_metrics_tells_what_does_not_count() -> None:
    world = World(Device(id="x", room="hall"), rooms=[Room(id="hall")], partitions=1)
    members = {f"d{number}": 1 for number in range(MEMBERS_LIMIT - 1)}
    world.room("hall").members.update(members)
    world.arrive(1, Membership("hall", "more", joined=True), RoomReadings("hall", [("more", 1, {"t": 1})]))
    assert len(world.room("hall").members) == MEMBERS_LIMIT
    assert [one["error"] for one in world.of_kind("error", "hall")] == [
        "device 'more' cannot join: the room has 10000 devices, the limit",
        "readings do not count: the room has 10000 devices, the limit; 'more' does not count",
    ]
    world.arrive(2, RoomReadings("hall", [("x", 1, {f"m{number}": 1 for number in range(ROOM_METRICS_LIMIT + 1)})]))
    assert len(world.room("hall").metrics) == ROOM_METRICS_LIMIT
    assert world.room("hall").errors == 3
