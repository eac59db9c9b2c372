"""Values as they come out of the history's typed columns: one column per kind, the others null."""

from __future__ import annotations

import msgspec

from iot_system.domain.readings import Value

NUMBER = "coalesce(h.number, h.whole)"
VALUE = "h.number, h.whole, h.flag, h.text, h.json"
"""What `value_of` reads."""


def value_of(number: float | None, whole: int | None, flag: bool | None, text: str | None, json: str | None) -> Value:
    """The one that is there."""
    for plain in (number, whole, flag, text):
        if plain is not None:
            return plain
    value: Value = msgspec.json.decode(json or "null")
    return value
