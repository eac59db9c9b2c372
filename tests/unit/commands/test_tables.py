"""What people see of a value."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.commands.tables import shown


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("room", None, "-"),
        ("enabled", True, "yes"),
        ("value", False, "no"),
        ("value", 21.5, "21.5"),
        ("value", "open", "open"),
        ("payload", {"a": [1, None]}, '{"a":[1,null]}'),
        ("labels", {"b": "2", "a": "1"}, "a=1, b=2"),
        ("labels", {}, "-"),
        ("scopes", ["room:lab", "label:a=1"], "room:lab, label:a=1"),
        ("created", 1_700_000_000_000.25, "2023-11-14 22:13:20Z"),
        ("left", 0, "1970-01-01 00:00:00Z"),
        ("count", 1_700_000_000_000, "1700000000000"),
    ],
)
def test_a_value_is_told_as_people_write_it(name: str, value: Any, text: str) -> None:
    assert shown(name, value) == text
