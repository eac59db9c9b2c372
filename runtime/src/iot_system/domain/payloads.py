"""JSON that actors keep and pass on: checked once, copied, so that no later change of the original reaches it."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from iot_system.domain.readings import INTEGER_LIMIT, JSON_DEPTH_LIMIT
from iot_system.errors import InvalidInput, TooLarge


def plain(value: object, *, field: str, limit: int) -> Any:
    """Return a copy of ``value``, which is JSON of up to ``limit`` bytes.

    Raises `InvalidInput` that names ``field`` for what no JSON, and no store, can hold; `TooLarge` for too much.
    """
    copy = _copy(value, field, 1)
    check_size(copy, field=field, limit=limit)
    return copy


def check_size(value: object, *, field: str, limit: int, devices: int | None = None) -> None:
    """Raises `TooLarge` where ``value``, or one for each of ``devices``, has more than ``limit`` bytes as JSON."""
    size = len(msgspec.json.encode(value))
    if devices is not None:
        field, size = f"{field} for {devices} devices", size * devices
    if size > limit:
        raise TooLarge(f"{field} has {size} bytes as JSON; the limit is {limit}")


def text(value: str) -> str:
    """The text alone of what may be a text with a class of its own, as members of enumerations are."""
    return str.__str__(value)


def _copy(value: object, field: str, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, field)
        case int():
            if abs(value) > INTEGER_LIMIT:
                raise InvalidInput(f"{field} has a whole number beyond ±2^53, the limit")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise InvalidInput(f"{field} has the number {value}; numbers must be finite")
            return float(value)
        case dict() | list() | tuple():
            if depth > JSON_DEPTH_LIMIT:
                raise InvalidInput(f"{field} is nested deeper than {JSON_DEPTH_LIMIT} levels")
            if isinstance(value, dict):
                return {_key(key, field): _copy(child, field, depth + 1) for key, child in value.items()}
            return [_copy(child, field, depth + 1) for child in value]
    raise InvalidInput(f"{field} has a {type(value).__name__}; JSON has numbers, text, bools, null, lists and objects")


def _key(key: object, field: str) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"{field} has the key {key!r}; keys are text")
    return _text(key, field)


def _text(value: str, field: str) -> str:
    if "\0" in value:
        raise InvalidInput(f"{field} has a NUL character; text cannot hold it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{field} has text that is not valid Unicode") from None
    return text(value)
