"""Numbered messages are taken once, in whatever order they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.numbering import WINDOW, is_taken, take

NOTHING = (-1, b"")


def taken(numbers: list[int]) -> list[int]:
    """Those of ``numbers``, one after the other, that are new."""
    known, new = NOTHING, []
    for number in numbers:
        if not is_taken(number, *known):
            known = take(number, *known)
            new.append(number)
    return new


def test_what_was_refused_is_taken_behind_what_came_after_it() -> None:
    assert taken([0, 1, 3, 2, 2, 3, 1, 4]) == [0, 1, 3, 2, 4]


def test_what_was_refused_at_first_is_taken_too() -> None:
    assert taken([7, 6, 6, 5]) == [7, 6, 5]


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=60))
def test_each_number_is_taken_once_and_none_is_missed_within_the_window(numbers: list[int]) -> None:
    new = taken(numbers)
    assert len(new) == len(set(new))
    for place, number in enumerate(numbers):
        if number not in new:
            assert max(numbers[:place]) - number > WINDOW


@given(st.lists(st.integers(0, 2**63 - 1), max_size=30))
def test_no_more_than_the_window_is_remembered(numbers: list[int]) -> None:
    known = NOTHING
    for number in numbers:
        if not is_taken(number, *known):
            known = take(number, *known)
        assert len(known[1]) <= WINDOW // 8


def test_a_device_that_counts_without_a_gap_keeps_its_highest_number_alone() -> None:
    known = NOTHING
    for number in range(WINDOW):
        known = take(number, *known)
    assert known == (WINDOW - 1, b"")


def test_what_an_older_version_has_written_down_was_all_taken() -> None:
    assert is_taken(3, 9, b"")
    assert not is_taken(10, 9, b"")
