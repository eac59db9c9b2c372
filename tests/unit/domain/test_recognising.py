"""What a device recognises of messages that come again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.recognising import RECENT_IDS, is_recent, part_id, remembered


def ids_of(packet: int, parts: int, series: str = "connection-1") -> list[str]:
    """The ids of the messages of one packet of QoS 2."""
    return [part_id(f"{series}-{packet}", part, is_last=part == parts - 1) for part in range(parts)]


def after(*ids: str) -> tuple[str, ...]:
    recent: tuple[str, ...] = ()
    for id_ in ids:
        recent = remembered(recent, id_)
    return recent


def test_ten_thousand_messages_of_qos_2_that_a_session_has_on_its_way_are_recognised() -> None:
    ids = [id_ for packet in range(1, 1001) for id_ in ids_of(packet, 10)]
    recent = after(*ids)
    assert all(is_recent(recent, id_) for id_ in ids)
    assert len(recent) == 1
    assert not is_recent(recent, ids_of(1001, 1)[0])


def test_a_message_that_was_passed_over_is_a_new_one() -> None:
    """The first half of a list may be refused, and the second be stored."""
    ids = ids_of(1, 40)
    recent = after(*ids[20:])
    assert [is_recent(recent, id_) for id_ in ids] == [False] * 20 + [True] * 20
    for id_ in ids[:20]:
        recent = remembered(recent, id_)
    assert all(is_recent(recent, id_) for id_ in ids)


def test_an_id_of_the_senders_own_is_recognised_as_it_is() -> None:
    recent = after("a-1", *ids_of(1, 1, "a"), "a-1-0")
    assert [is_recent(recent, id_) for id_ in ("a-1", "a-1-0", "a-1-0.", "a-1-1", "a-2")] == [True, True] + [False] * 3


def test_ids_in_the_form_of_older_versions_are_recognised() -> None:
    assert is_recent(("c-1-0", "c-1-1"), "c-1-1")


@given(
    st.lists(
        st.tuples(st.sampled_from(["a-1", "a-2", "b-1"]), st.integers(1, 6), st.integers(0, 2)),
        max_size=RECENT_IDS,
        unique=True,
    )
)
def test_exactly_what_came_is_recognised_in_whatever_order_it_comes(places: list[tuple[str, int, int]]) -> None:
    ids = {place: part_id(f"{place[0]}-{place[1]}", place[2], is_last=place[2] == 2) for place in places}
    recent = after(*ids.values())
    assert len(recent) <= len(places)
    for series in ("a-1", "a-2", "b-1"):
        for packet in range(1, 7):
            for part, id_ in enumerate(ids_of(packet, 3, series)):
                assert is_recent(recent, id_) == ((series, packet, part) in ids)
