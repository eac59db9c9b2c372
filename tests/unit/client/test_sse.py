"""Server-Sent Events, in whatever pieces they come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.client.sse import LINE_LIMIT, Message, SseParser

STREAM = (
    b": a heartbeat\n\n"
    b'id: 7-2\nevent: twin\ndata: {"device":"a"}\n\n'
    b"data:first\r\ndata: second\r\n\r\n"
    b"id\ndata\n\n"
    b"event: nothing\n\n"
    b"retry: 3\ndata: last\n\n"
)
MESSAGES = [
    Message("7-2", "twin", '{"device":"a"}'),
    Message("7-2", "", "first\nsecond"),
    Message("", "", ""),
    Message("", "", "last"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_how_the_stream_is_cut_changes_nothing(cuts: list[int]) -> None:
    parser = SseParser()
    places = [0, *sorted(cuts), len(STREAM)]
    found = [one for a, b in pairwise(places) for one in parser.feed(STREAM[a:b])]
    assert found == MESSAGES


def test_characters_that_only_python_takes_for_line_ends_are_data() -> None:
    text = "a\u2028b\u0085c\x0bd"
    assert list(SseParser().feed(f"data: {text}\n\n".encode())) == [Message("", "", text)]


def test_an_id_lasts_until_the_next() -> None:
    parser = SseParser("5-0")
    assert list(parser.feed(b"data: x\n\n")) == [Message("5-0", "", "x")]
    assert list(parser.feed(b"id: 6-0\n")) == []
    assert parser.last_id == "5-0"
    assert list(parser.feed(b"\n")) == []
    assert parser.last_id == "6-0"


def test_a_line_without_end_is_not_kept() -> None:
    with pytest.raises(ValueError, match="line"):
        list(SseParser().feed(b"x" * (LINE_LIMIT + 1)))
