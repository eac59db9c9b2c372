"""All actors of a partition: what frames change, what leaves for other partitions, who stays in memory."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.actors.changes import Changes
from iot_system.actors.device import DeviceActor
from iot_system.actors.partition import PartitionActors
from iot_system.actors.sealing import ACTOR_FRAME_BYTES
from iot_system.actors.stored import Stored
from iot_system.domain.events import EVENTS, Event, decode_events
from iot_system.domain.frames import ActorFrame, RoomReadings, decode_frame
from iot_system.domain.readings import Telemetry, Value
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import DeviceState, RoomState

from tests.unit.actors.sample_behaviours import HERE, Counting

ROOMS = {"r0": 0, "s0": 0, "r1": 1}


def actors(
    *devices: Device, received: dict[int, int] | None = None, sent: dict[int, int] | None = None
) -> PartitionActors:
    found = PartitionActors(3, received=received or {}, sent=sent or {}, partition_of=ROOMS.__getitem__)
    for device in devices:
        found.activate_device(device, DeviceState())
    return found


def device(id_: str, room: str | None = None, behaviour: str = "") -> Device:
    return Device(id=id_, room=room, behaviour=f"{HERE}:{behaviour}") if behaviour else Device(id=id_, room=room)


def receive(
    partition: PartitionActors,
    *messages: Telemetry,
    stored: Stored | None = None,
    now_us: int = 0,
) -> Changes:
    changes = Changes()
    partition.receive_telemetry(messages, changes, stored=stored or Stored(), now_us=now_us)
    partition.seal(changes)
    return changes


def outbox(changes: Changes) -> list[tuple[int, ActorFrame]]:
    """The frames to other partitions, decoded; all of them bear readings for rooms here."""
    sealed = [(target, number, data) for target, number, data in changes.outbox if target != EVENTS]
    frames = [(target, cast("ActorFrame", decode_frame(data))) for target, _, data in sealed]
    assert [frame.number for _, frame in frames] == [number for _, number, _ in sealed]
    return frames


def in_rooms(frame: ActorFrame) -> list[RoomReadings]:
    """The messages of a frame that are all readings for rooms."""
    readings = [message for message in frame.messages if isinstance(message, RoomReadings)]
    assert len(readings) == len(frame.messages)
    return readings


def test_a_frame_s_readings_for_a_partition_travel_as_one_message_each_room_s_together() -> None:
    partition = actors(device("a", "r0"), device("b", "s0"), device("c", "r1"), device("d"))
    changes = receive(
        partition,
        Telemetry("a", 1, {"t": 1}),
        Telemetry("b", 2, {"t": 2}),
        Telemetry("c", 3, {"t": 3}),
        Telemetry("d", 4, {"t": 4}),
        Telemetry("a", 5, {"t": 5, "h": 6}),
    )
    assert outbox(changes) == [
        (
            0,
            ActorFrame(
                3,
                1,
                [
                    RoomReadings("r0", [("a", 1, {"t": 1}), ("a", 5, {"t": 5, "h": 6})]),
                    RoomReadings("s0", [("b", 2, {"t": 2})]),
                ],
            ),
        ),
        (1, ActorFrame(3, 1, [RoomReadings("r1", [("c", 3, {"t": 3})])])),
    ]
    assert changes.devices.keys() == {"a", "b", "c", "d"}
    assert [message.device for message in changes.readings] == ["a", "a", "b", "c", "d"]


def test_messages_to_a_partition_are_numbered_on_without_gaps() -> None:
    partition = actors(device("a", "r0"), device("c", "r1"), sent={0: 41})
    numbers = [
        [(target, frame.number) for target, frame in outbox(receive(partition, Telemetry(id_, time_us, {"t": 1})))]
        for time_us, id_ in enumerate(["a", "c", "a", "a", "c"])
    ]
    assert numbers == [[(0, 42)], [(1, 1)], [(0, 43)], [(0, 44)], [(1, 2)]]


def test_events_leave_in_frames_of_their_own_numbered_on_without_gaps() -> None:
    partition = actors(device("a", behaviour="Counting"), sent={EVENTS: 7})
    numbers = []
    for time_us in range(3):
        changes = receive(partition, Telemetry("a", time_us, {f"t{time_us}": 1}))
        numbers += [number for target, number, _ in changes.outbox if target == EVENTS]
    assert numbers == [8, 9, 10]
    large = Changes()
    large.events = [Event(kind="alert", time_us=number, data={"x": "x" * 60_000}) for number in range(200)]
    partition.seal(large)
    assert [number for _, number, _ in large.outbox] == list(range(11, 11 + len(large.outbox)))
    assert all(len(data) <= ACTOR_FRAME_BYTES for *_, data in large.outbox)
    assert [event.time_us for *_, data in large.outbox for event in decode_events(data)] == list(range(200))


def test_a_re_sent_message_tells_the_room_nothing_and_uses_no_number() -> None:
    partition = actors(device("a", "r0"))
    assert len(outbox(receive(partition, Telemetry("a", 1, {"t": 1}, seq=1)))) == 1
    again = receive(partition, Telemetry("a", 9, {"t": 1}, seq=1))
    assert (again.readings, again.outbox, again.devices) == ([], [], {})
    assert [frame.number for _, frame in outbox(receive(partition, Telemetry("a", 2, {"t": 1}, seq=2)))] == [2]


def test_a_room_hears_only_what_is_new() -> None:
    partition = actors(device("a", "r0"))
    changes = receive(
        partition, Telemetry("a", 1, {"t": 1}), Telemetry("a", 1, {"t": 1}), Telemetry("a", 1, {"t": 1, "h": 2})
    )
    assert outbox(changes)[0][1].messages == [RoomReadings("r0", [("a", 1, {"t": 1}), ("a", 1, {"h": 2})])]
    assert changes.readings == [Telemetry("a", 1, {"t": 1}), Telemetry("a", 1, {"h": 2})]


def test_messages_of_devices_that_are_gone_are_counted() -> None:
    partition, changes = actors(device("a")), Changes()
    messages = [Telemetry("gone", 1, {"t": 1}), Telemetry("a", 1, {"t": 1}), Telemetry("gone", 2, {"t": 1})]
    assert partition.receive_telemetry(messages, changes, stored=Stored(), now_us=0) == 2
    assert changes.readings == [Telemetry("a", 1, {"t": 1})]


history = st.lists(  # batches of frames of messages
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b"]),
                st.integers(0, 6),
                st.dictionaries(st.sampled_from(["t", "h"]), st.integers(0, 99), min_size=1),
            ),
            max_size=4,
        ),
        max_size=3,
    ),
    max_size=6,
)


@given(history, st.integers(0, 2))
def test_each_reading_is_new_exactly_once_whenever_it_comes(
    batches: list[list[list[tuple[str, int, dict[str, Value]]]]], passivate_every: int
) -> None:
    """The store is asked about late readings alone, before the batch, as a shard does it."""
    table: dict[tuple[str, str, int], Value] = {}
    states: dict[str, DeviceState] = {}
    expected: dict[tuple[str, str, int], Value] = {}
    in_room: list[tuple[str, int, str, Value]] = []
    partition = actors()
    for number, frames in enumerate(batches):
        if passivate_every and number % passivate_every == 0:
            partition.passivate(idle_since_us=10**9)
        for id_ in ("a", "b"):
            partition.activate_device(device(id_, "r0"), states.get(id_, DeviceState()))
        messages = [[Telemetry(*message) for message in frame] for frame in frames]
        late = [
            one for frame in messages for message in frame for one in partition.devices[message.device].late(message)
        ]
        stored = Stored(key for one in late if (key := (one.device, one.metric, one.time_us)) in table)
        changes = Changes()
        for frame in messages:
            partition.receive_telemetry(frame, changes, stored=stored, now_us=0)
        partition.seal(changes)
        for one in changes.readings:
            for metric, value in one.values.items():
                assert (one.device, metric, one.time_us) not in table, "doubled"
                table[one.device, metric, one.time_us] = value
        states.update(changes.devices)
        in_room += [
            (id_, time_us, metric, value)
            for _, sent in outbox(changes)
            for message in in_rooms(sent)
            for id_, time_us, values in message.readings
            for metric, value in values.items()
        ]
        for frame in messages:
            for message in frame:
                for metric, value in message.values.items():
                    expected.setdefault((message.device, metric, message.time_us), value)
    assert table == expected
    assert sorted(in_room) == sorted(
        (id_, time_us, metric, value) for (id_, metric, time_us), value in expected.items()
    )


def from_actors(source: int, number: int, value: int) -> ActorFrame:
    return ActorFrame(source, number, [RoomReadings("r", [("a", value, {"t": value})])])


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 6)), max_size=40))
def test_messages_of_actors_are_taken_once_in_their_order_and_gaps_told(arrivals: list[tuple[int, int]]) -> None:
    partition = actors(received={0: 2})
    partition.activate_room(Room(id="r"), RoomState())
    last, taken = {0: 2, 1: 0}, 0
    for source, number in arrivals:
        changes = Changes()
        lost = partition.receive_from_actors(from_actors(source, number, number), changes, now_us=0)
        if number > last[source]:
            assert lost == number - last[source] - 1
            last[source] = number
            taken += 1
            assert changes.received == {source: number}
            assert changes.rooms.keys() == {"r"}
        else:
            assert (lost, changes.received, changes.rooms) == (0, {}, {})
    count = partition.rooms["r"].state.metrics["t"].count if taken else 0
    assert count == taken


@pytest.mark.parametrize(
    ("devices", "rooms", "text", "is_split"),
    [(40_000, 40_000, 1, True), (600, 1, 30_000, True), (1, 1, 60_000, False)],
    ids=["long names of many rooms", "one room with long texts", "one reading"],
)
def test_frames_to_rooms_stay_below_what_the_broker_takes(devices: int, rooms: int, text: int, is_split: bool) -> None:
    partition = PartitionActors(3, received={}, sent={}, partition_of=lambda _: 0)
    sent = [Telemetry(f"d{number}", 1, {"t": "x" * text}) for number in range(devices)]
    for number, message in enumerate(sent):
        partition.activate_device(device(message.device, f"{number % rooms:0128}"), DeviceState())
    changes = receive(partition, *sent)
    assert all(len(data) <= ACTOR_FRAME_BYTES for *_, data in changes.outbox)
    frames = [frame for _, frame in outbox(changes)]
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    assert (len(frames) > 1) == is_split
    arrived = [id_ for frame in frames for message in in_rooms(frame) for id_, _, _ in message.readings]
    assert sorted(arrived) == sorted(message.device for message in sent)


def test_a_behaviour_sees_each_new_reading_once() -> None:
    partition = actors(device("a", behaviour="Counting"))
    receive(partition, Telemetry("a", 1, {"t": 1, "h": 2}), Telemetry("a", 1, {"t": 1}), Telemetry("a", 2, {"t": 1}))
    actor = partition.devices["a"]
    assert isinstance(actor, Counting)
    assert actor.memory == {"seen": 3}
    assert actor.state.reported == {"last": "t"}
    assert actor.state.reported_version == 3


@pytest.mark.parametrize("behaviour", ["Raising", "NotStorable", "NotAnEffect"])
def test_a_behaviour_that_fails_harms_only_its_own_actor_and_no_reading(behaviour: str) -> None:
    partition = actors(device("a", "r0", behaviour), device("b", "r0", "Counting"))
    changes = receive(
        partition, Telemetry("a", 1, {"bad": 1}), Telemetry("b", 1, {"t": 1}), Telemetry("a", 2, {"bad": 2})
    )
    assert len(changes.readings) == 3
    assert sum(len(message.readings) for message in in_rooms(outbox(changes)[0][1])) == 3
    assert partition.devices["b"].memory == {"seen": 1}
    # Of a reaction that failed nothing is kept.
    assert partition.devices["a"].state.extra == {}
    assert partition.devices["a"].state.reported_version == 0


def test_a_behaviour_that_raised_goes_on_with_the_next_reading() -> None:
    partition = actors(device("a", behaviour="Raising"))
    receive(partition, Telemetry("a", 1, {"bad": 1, "good": 1}))
    assert partition.devices["a"].memory == {"good": True}


@pytest.mark.parametrize("behaviour", ["CannotBegin", "Gone", "NoBehaviour"])
def test_a_behaviour_that_a_later_image_lost_costs_reactions_but_no_readings(behaviour: str) -> None:
    partition = actors(device("a", "r0", behaviour), device("b", "r0"))
    changes = receive(partition, Telemetry("a", 1, {"t": 1}), Telemetry("b", 1, {"t": 1}))
    assert len(changes.readings) == 2


def test_a_device_keeps_its_state_when_its_behaviour_or_room_changes() -> None:
    partition = actors(device("a", "r0"))
    receive(partition, Telemetry("a", 7, {"t": 1}))
    plain = partition.devices["a"]
    assert partition.activate_device(device("a", "r1"), DeviceState()) is plain
    assert plain.device.room == "r1"
    counting = partition.activate_device(device("a", "r1", "Counting"), DeviceState())
    assert type(counting) is Counting
    assert counting.state is plain.state
    assert type(partition.activate_device(device("a", "r1"), DeviceState())) is DeviceActor


def test_idle_actors_leave_and_come_back_with_what_was_committed() -> None:
    partition = actors(device("a", "r0"), device("b", "r0"))
    partition.activate_room(Room(id="r"), RoomState())
    receive(partition, Telemetry("a", 1, {"t": 1}), now_us=10)
    states = receive(partition, Telemetry("b", 1, {"t": 1}), now_us=20).devices
    partition.receive_from_actors(from_actors(0, 1, 5), Changes(), now_us=20)
    assert partition.passivate(idle_since_us=10) == 0
    assert partition.passivate(idle_since_us=15) == 1
    assert partition.devices.keys() == {"b"}
    assert partition.passivate(idle_since_us=21) == 2
    assert (partition.devices, partition.rooms) == ({}, {})
    assert partition.activate_device(device("b", "r0"), states["b"]).late(Telemetry("b", 1, {"t": 1}))
    # What numbers the messages is no actor: it stays.
    assert partition.receive_from_actors(from_actors(0, 1, 5), Changes(), now_us=30) == 0
    partition.activate_device(device("a", "r0"), DeviceState())
    assert [frame.number for _, frame in outbox(receive(partition, Telemetry("a", 9, {"t": 1})))] == [3]
