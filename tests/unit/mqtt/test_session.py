"""A session can be written down at any moment, and another connection goes on from there."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.session import Delivery, Received, Session

from tests.unit.mqtt.strategies import ids, payloads, properties, topics

deliveries = st.builds(
    Delivery,
    topics,
    payloads,
    st.just(1),
    st.booleans(),
    properties("PUBLISH"),
    st.none() | st.floats(0, 100),
    st.text(max_size=5),
)
sessions = st.builds(
    Session,
    st.text(max_size=5),
    st.text(max_size=5),
    st.integers(0, 0xFFFF_FFFF),
    st.dictionaries(ids, deliveries, max_size=3),
    st.lists(deliveries, max_size=3),
    st.dictionaries(ids, st.builds(Received, st.text(max_size=5), st.booleans()), max_size=3),
)


@given(sessions)
def test_a_session_is_read_as_it_was_written_with_the_order_of_what_is_in_flight(session: Session) -> None:
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(session), type=Session)
    assert again == session
    assert list(again.in_flight) == list(session.in_flight)


@given(
    st.lists(st.one_of(deliveries, st.just("take"), st.integers(0, 10)), max_size=40),
    st.integers(1, 5),
    st.integers(1, 2000),
)
def test_a_session_never_holds_more_than_its_bounds_and_counts_right(
    steps: list[Delivery | str | int], messages: int, size: int
) -> None:
    limits = MqttLimits(queued_messages=messages, queued_bytes=size)
    session = Session("c", "s")
    now_s = 0.0
    for step in steps:
        if isinstance(step, Delivery):
            session.queue(step, limits, now_s)
        elif isinstance(step, str):
            session.take(now_s)
        elif session.in_flight:
            session.acknowledge(list(session.in_flight)[step % len(session.in_flight)])
        else:
            now_s += step
        held = [*session.in_flight.values(), *session.pending]
        assert len(held) <= messages
        assert session.queued_bytes == sum(one.size for one in held)
        assert session.queued_bytes <= size or len(held) == 1


def test_messages_of_qos_2_never_share_an_id() -> None:
    session = Session("c", "s")
    assert len({session.new_message_id(f"app/{number % 70}") for number in range(300)}) == 300


def test_messages_of_qos_2_are_numbered_by_topic() -> None:
    session = Session("c", "s")
    assert [session.new_message_id(topic) for topic in "abab"] == ["s-1-1", "s-2-1", "s-1-2", "s-2-2"]
