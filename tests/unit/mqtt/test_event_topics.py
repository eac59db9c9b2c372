"""Which events are listened to for a filter, and which topic each has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.broker.tree import matches
from iot_system.adapters.mqtt.event_topics import message_of, selection_of
from iot_system.adapters.mqtt.topics import overlap
from iot_system.ports.events import Occurrence, Position, Selection

levels = st.sampled_from(["a", "b", "+"])
filters = st.builds(
    lambda names, is_open: "/".join([*names, *(["#"] if is_open else [])]),
    st.lists(levels, min_size=1, max_size=3),
    st.booleans(),
)
topics = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map("/".join)


@given(filters, filters, topics)
def test_filters_that_a_topic_matches_both_overlap(one: str, other: str, topic: str) -> None:
    assert overlap(one, other) == overlap(other, one)
    if matches(one, topic) and matches(other, topic):
        assert overlap(one, other)


@given(filters, filters)
def test_filters_that_overlap_have_a_topic_in_common(one: str, other: str) -> None:
    names = ["/".join(levels) for size in range(1, 5) for levels in _words(size)]
    assert overlap(one, other) == any(matches(one, name) and matches(other, name) for name in names)


def _words(size: int) -> list[list[str]]:
    return [[]] if size == 0 else [[name, *rest] for name in "ab" for rest in _words(size - 1)]


@pytest.mark.parametrize(
    ("asked", "selection"),
    [
        (["app/#"], None),
        (["v1/devices/a/telemetry"], Selection(devices=frozenset({"a"}), kinds=frozenset({"reading"}))),
        (["v1/devices/a/twin/+"], Selection(devices=frozenset({"a"}), kinds=frozenset({"twin"}))),
        (
            ["v1/devices/a/connection", "v1/rooms/+/twin"],
            Selection(kinds=frozenset({"connection", "room"})),
        ),
        (
            ["v1/devices/a/connection", "app/x"],
            Selection(devices=frozenset({"a"}), kinds=frozenset({"connection"})),
        ),
        (["#"], Selection(kinds=frozenset({"reading", "twin", "command", "connection", "alert", "room"}))),
    ],
)
def test_no_more_is_listened_to_than_the_filters_ask_for(asked: list[str], selection: Selection | None) -> None:
    assert selection_of(asked) == selection


@pytest.mark.parametrize("status", ["queued", "delivered"])
def test_a_command_on_its_way_is_told_when_it_is_sent_and_not_at_each_step(status: str) -> None:
    data = {"id": "c", "name": "go", "payload": 1, "status": status, "result": None, "reason": None}
    assert message_of(Occurrence(Position(1, 1), "command", 1, "a", None, data, 10)) is None
    sent = message_of(Occurrence(Position(1, 1), "command", 1, "a", None, {**data, "status": "sent"}, 10))
    assert sent == ("v1/devices/a/commands/c/go", b"1")


def test_an_alert_has_the_topic_of_what_it_is_about() -> None:
    data = {"name": "hot", "severity": "warning", "active": True, "payload": None}
    device = message_of(Occurrence(Position(1, 1), "alert", 2750, "a", "lab", data, 10))
    room = message_of(Occurrence(Position(1, 1), "alert", 2750, None, "lab", data, 10))
    assert device is not None
    assert room is not None
    assert (device[0], room[0]) == ("v1/devices/a/alert", "v1/rooms/lab/alert")
    assert device[1] == b'{"ts":2,"name":"hot","severity":"warning","active":true,"payload":null}'


def test_only_readings_have_times_finer_than_a_millisecond() -> None:
    connection = message_of(Occurrence(Position(1, 1), "connection", 2750, "a", None, {"connected": True}, 10))
    reading = message_of(Occurrence(Position(1, 1), "reading", 2750, "a", None, {"t": 1}, 10))
    assert connection == ("v1/devices/a/connection", b'{"ts":2,"connected":true}')
    assert reading == ("v1/devices/a/telemetry", b'{"ts":2.75,"values":{"t":1}}')
