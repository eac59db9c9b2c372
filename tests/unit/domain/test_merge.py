"""JSON merge patch: the examples of RFC 7396, and its laws."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.merge import merge_patch, would_change

from tests.unit.domain.strategies import json, texts

objects = st.dictionaries(texts, json, max_size=4)
# Members that both sides are likely to have, so that something is merged at all.
shared = st.recursive(
    st.none() | st.integers(0, 3) | st.lists(st.none() | st.integers(0, 3), max_size=2),
    lambda children: st.dictionaries(st.sampled_from("abc"), children, max_size=3),
    max_leaves=10,
)
documents = st.dictionaries(st.sampled_from("abc"), shared, max_size=3)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # Appendix A, its cases in which target and patch are objects.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_appendix_a(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    assert merge_patch(target, patch) == result


def test_the_example_of_section_3() -> None:
    target = {
        "title": "Goodbye!",
        "author": {"givenName": "John", "familyName": "Doe"},
        "tags": ["example", "sample"],
        "content": "This will be unchanged",
    }
    patch = {"title": "Hello!", "phoneNumber": "+01-123-456-7890", "author": {"familyName": None}, "tags": ["example"]}
    assert merge_patch(target, patch) == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }


@given(documents, documents)
def test_neither_target_nor_patch_is_changed(target: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((target, patch))
    merge_patch(target, patch)
    assert (target, patch) == before


@given(documents, documents)
def test_the_same_patch_again_changes_nothing(target: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(objects)
def test_an_empty_patch_changes_nothing(target: dict[str, Any]) -> None:
    assert merge_patch(target, {}) == target


@given(documents)
def test_what_a_patch_builds_from_nothing_bears_no_null(patch: dict[str, Any]) -> None:
    def members(value: object) -> list[object]:
        if not isinstance(value, dict):
            return [value]
        return [member for child in value.values() for member in members(child)]

    assert None not in members(merge_patch({}, patch))


@given(documents, documents)
def test_members_that_a_patch_does_not_name_stay(target: dict[str, Any], patch: dict[str, Any]) -> None:
    merged = merge_patch(target, patch)
    assert {key: merged[key] for key in target.keys() - patch.keys()} == {
        key: target[key] for key in target.keys() - patch.keys()
    }
    assert merged.keys() <= target.keys() | patch.keys()


scalars = st.sampled_from([0, 0.0, False, 1, 1.0, True, "", [], [1], [True], {}, {"b": 1}, {"b": 1.0}, None])


@given(
    documents | st.dictionaries(st.sampled_from("ab"), scalars),
    documents | st.dictionaries(st.sampled_from("ab"), scalars),
)
def test_whether_a_patch_would_change_anything_is_known_before(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """By the bytes: 1, 1.0 and true are equal to Python, and differ."""
    is_other = msgspec.json.encode(merge_patch(target, patch)) != msgspec.json.encode(target)
    assert would_change(target, patch) == is_other
