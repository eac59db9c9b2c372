"""Topics as subjects: NATS must match exactly what MQTT matches."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.nats.broker.subjects import (
    FILTERS_LIMIT,
    cover,
    is_covered,
    subject_of,
    subjects_of,
    topic_of,
)

from tests.unit.mqtt_broker.strategies import filters, mqtt_matches, topics


def nats_matches(pattern: str, subject: str) -> bool:
    """NATS's rule, by a regular expression."""
    parts = {"*": r"[^.]+", ">": r".+"}
    return (
        re.fullmatch(r"\.".join(parts.get(token, re.escape(token)) for token in pattern.split(".")), subject)
        is not None
    )


@given(topics)
def test_a_topic_comes_back_from_its_subject(topic: str) -> None:
    assert topic_of(subject_of(topic)) == topic


@given(st.text(min_size=1, alphabet=st.characters(exclude_characters="\0+#", exclude_categories=["Cs"])))
def test_a_subject_has_no_character_that_nats_gives_a_meaning_to(topic: str) -> None:
    tokens = subject_of(topic).split(".")
    assert len(tokens) == 2 + topic.count("/")
    assert all(re.fullmatch(r"[A-Za-z0-9_~%-]+", token) for token in tokens)


@given(filters, topics)
def test_the_subjects_of_a_filter_match_what_the_filter_matches(filter_: str, topic: str) -> None:
    found = [pattern for pattern in subjects_of(filter_) if nats_matches(pattern, subject_of(topic))]
    assert len(found) == mqtt_matches(filter_, topic)


@given(st.lists(filters, max_size=8), topics)
def test_a_cover_matches_what_its_filters_match_and_does_not_overlap(several: list[str], topic: str) -> None:
    found = [pattern for pattern in cover(several) if nats_matches(pattern, subject_of(topic))]
    assert len(found) <= 1
    assert found or not any(mqtt_matches(filter_, topic) for filter_ in several)


@given(st.lists(filters, min_size=1, max_size=8))
def test_a_cover_covers_each_of_its_filters(several: list[str]) -> None:
    covering = cover(several)
    assert all(is_covered(subject, covering) for filter_ in several for subject in subjects_of(filter_))


@given(filters, filters, topics)
def test_what_is_covered_is_matched(wide: str, narrow: str, topic: str) -> None:
    if all(is_covered(subject, subjects_of(wide)) for subject in subjects_of(narrow)):
        assert mqtt_matches(wide, topic) or not mqtt_matches(narrow, topic)


def test_very_many_filters_are_read_as_everything() -> None:
    assert cover(f"app/{number}" for number in range(FILTERS_LIMIT + 1)) == [">"]
