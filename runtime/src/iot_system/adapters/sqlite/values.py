"""Values in the history: SQLite knows numbers and text, the kind says what else they are."""

from __future__ import annotations

import msgspec

from iot_system.domain.readings import Value

NUMBER, BOOL, TEXT, JSON = range(4)
_KINDS = {float: NUMBER, int: NUMBER, bool: BOOL, str: TEXT, dict: JSON, list: JSON}
_encode_json = msgspec.json.Encoder().encode


def stored_value(value: Value) -> tuple[int, float | int | str]:
    """Kind, and what is stored."""
    kind = _KINDS[type(value)]
    return (kind, _encode_json(value).decode()) if kind == JSON else (kind, value)  # type: ignore[return-value]


def value_of(kind: int, stored: float | int | str) -> Value:
    """The value that was stored."""
    if kind == JSON:
        value: Value = msgspec.json.decode(str(stored))
        return value
    return bool(stored) if kind == BOOL else stored
