"""JSON that is kept: a copy of what was given, or a sentence that says why not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from iot_system.domain.payloads import plain
from iot_system.errors import InvalidInput, TooLarge

from tests.unit.domain.strategies import json

LIMIT = 1000


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


@given(json)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert repr(plain(value, field="x", limit=10**6)) == repr(value)


def test_a_later_change_of_the_original_reaches_no_copy() -> None:
    original: dict[str, Any] = {"a": [{"b": 1}]}
    copy = plain(original, field="x", limit=LIMIT)
    original["a"][0]["b"] = object()
    original["a"].append(1)
    assert copy == {"a": [{"b": 1}]}


def test_a_tuple_becomes_a_list() -> None:
    assert plain({"a": (1, 2)}, field="x", limit=LIMIT) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": {1: 2}}, "x has the key 1; keys are text"),
        ({"a": "b\0"}, "x has a NUL character"),
        ({"a\0": 1}, "x has a NUL character"),
        (["\ud800"], "x has text that is not valid Unicode"),
        (float("nan"), "x has the number nan; numbers must be finite"),
        ([float("-inf")], "x has the number -inf"),
        (2**53 + 1, "x has a whole number beyond"),
        (nested(17), "x is nested deeper than 16 levels"),
        ({"a": object()}, "x has a object; JSON has"),
        (datetime(2026, 1, 1, tzinfo=UTC), "x has a datetime; JSON has"),
        (b"a", "x has a bytes"),
    ],
)
def test_what_is_no_json_is_refused_with_the_field(value: object, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        plain(value, field="x", limit=LIMIT)


def test_the_depth_at_the_limit_is_taken() -> None:
    assert plain(nested(16), field="x", limit=LIMIT) == nested(16)


def test_what_refers_to_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidInput, match="deeper"):
        plain(loop, field="x", limit=LIMIT)


def test_the_limit_counts_bytes_as_json() -> None:
    value = "ü" * ((LIMIT - 2) // 2)
    assert len(msgspec.json.encode(value)) == LIMIT
    assert plain(value, field="x", limit=LIMIT) == value
    with pytest.raises(TooLarge, match=f"x has {LIMIT + 1} bytes as JSON; the limit is {LIMIT}"):
        plain(value + "a", field="x", limit=LIMIT)
