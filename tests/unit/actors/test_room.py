"""The room actor: aggregates over all readings of its devices."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from iot_system.actors.room import RoomActor
from iot_system.domain.readings import Value
from iot_system.domain.registry import Room
from iot_system.domain.twin import Latest, RoomState

readings = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 20),
        st.dictionaries(
            st.sampled_from(["t", "h"]),
            # Whole numbers, so that sums are exact in any order.
            st.integers(-1000, 1000) | st.booleans() | st.sampled_from(["x", "y"]),
            min_size=1,
        ),
    )
)


def room_after(history: list[tuple[str, int, dict[str, Value]]]) -> RoomState:
    room = RoomActor(Room(id="r"), RoomState())
    for device, time_us, values in history:
        room.receive(device, time_us, values)
    return room.state


@given(readings)
def test_aggregates_equal_those_computed_from_the_whole_history(
    history: list[tuple[str, int, dict[str, Value]]],
) -> None:
    state = room_after(history)
    assert state.metrics.keys() == {metric for _, _, values in history for metric in values}
    for metric, aggregate in state.metrics.items():
        of_metric = [(time_us, values[metric], device) for device, time_us, values in history if metric in values]
        numbers = [value for _, value, _ in of_metric if type(value) is int]
        newest_us = max(time_us for time_us, _, _ in of_metric)
        last = [(value, device) for time_us, value, device in of_metric if time_us == newest_us][-1]
        assert aggregate.count == len(of_metric)
        assert aggregate.numbers == len(numbers)
        assert aggregate.sum == sum(numbers)
        assert aggregate.min == min(numbers, default=None)
        assert aggregate.max == max(numbers, default=None)
        assert aggregate.avg == (sum(numbers) / len(numbers) if numbers else None)
        assert (aggregate.last, aggregate.device) == (Latest(newest_us, last[0]), last[1])


@given(readings, st.integers(0, 20))
def test_taken_in_together_or_one_by_one_readings_come_to_the_same(
    history: list[tuple[str, int, dict[str, Value]]], known: int
) -> None:
    room = RoomActor(Room(id="r"), room_after(history[:known]))
    before = msgspec.json.encode(room.state)
    if room.receive_usual(history[known:]):
        assert room.state == room_after(history)
    else:
        assert msgspec.json.encode(room.state) == before


@given(readings)
def test_a_member_was_last_heard_of_at_its_newest_reading(history: list[tuple[str, int, dict[str, Value]]]) -> None:
    heard: dict[str, int] = {}
    for device, time_us, _ in history:
        heard[device] = max(heard.get(device, 0), time_us)
    assert room_after(history).members == heard


@given(readings)
def test_a_room_that_left_memory_in_between_is_the_same(history: list[tuple[str, int, dict[str, Value]]]) -> None:
    half = len(history) // 2
    stored = msgspec.json.encode(room_after(history[:half]))
    room = RoomActor(Room(id="r"), msgspec.json.decode(stored, type=RoomState))
    for device, time_us, values in history[half:]:
        room.receive(device, time_us, values)
    assert room.state == room_after(history)


def test_a_bool_is_counted_but_no_number() -> None:
    aggregate = room_after([("a", 1, {"t": True})]).metrics["t"]
    assert (aggregate.count, aggregate.numbers, aggregate.avg, aggregate.min) == (1, 0, None, None)
