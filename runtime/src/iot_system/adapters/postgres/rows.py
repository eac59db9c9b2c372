"""Readings as rows of the history, in the binary format of COPY (PostgreSQL manual, "COPY", "Binary Format").

A row is its number of fields, then each field's length (-1 for null) and bytes, all big-endian. Put together here, and
for many messages at once, because this is where the time goes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import Struct
from sys import byteorder
from typing import Any, TypeAlias

import msgspec

from iot_system.domain.readings import Telemetry, Value

Column: TypeAlias = tuple[Any, ...]
"""The values of one metric, message by message."""
COLUMNS = ("time_us", "device", "metric", "number", "whole", "flag", "text", "json")
FEW = 8
"""So many messages that are alike are put together one by one."""
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_HEAD = Struct("!hiqii").pack
"""Number of fields, time and device."""
_TIME_AT, _DEVICE_AT = 6, 18
_NUMBER = Struct("!iiid4i").pack
_WHOLE = Struct("!iiiiq3i").pack
_FLAG = Struct("!iiiii?2i").pack
_TEXT = Struct("!iiiiii").pack
_JSON = Struct("!iiiiiii").pack
_NULL = Struct("!i").pack(-1)
_FIXED: Mapping[type, tuple[int, int, str]] = {float: (58, 34, "d"), int: (58, 38, "q"), bool: (51, 42, "b")}
"""Kinds of values whose rows have one length: it, where the value stands, and its type in `array`."""
_encode_json = msgspec.json.Encoder().encode


def rows_of(messages: Iterable[Telemetry], devices: Mapping[str, int], metrics: Mapping[str, int]) -> bytearray:
    """What COPY takes in, messages with the same metrics together. Readings of devices without a key are left out."""
    by_metrics: dict[tuple[str, ...], list[Telemetry]] = {}
    for message in messages:
        if message.device in devices:
            by_metrics.setdefault(tuple(message.values), []).append(message)
    parts: list[bytes | bytearray] = [_HEADER]
    for names, those in by_metrics.items():
        keys = [metrics[name] for name in names]
        for alike, columns in _by_kinds(those):
            if len(alike) > FEW and all(type(column[0]) in _FIXED for column in columns):
                parts.append(_rows_alike(alike, devices, keys, columns))
            else:
                parts += [_rows(message, devices[message.device], keys) for message in alike]
    parts.append(_TRAILER)
    return bytearray().join(parts)


def _by_kinds(messages: Sequence[Telemetry]) -> Iterator[tuple[Sequence[Telemetry], Sequence[Column]]]:
    """``messages``, which have the same metrics, by the kinds of their values: with a column for each metric."""
    columns = _columns(messages)
    if all(len(set(map(type, column))) == 1 for column in columns):
        yield messages, columns
        return
    found: dict[tuple[type, ...], list[Telemetry]] = {}
    for message in messages:
        found.setdefault(tuple(map(type, message.values.values())), []).append(message)
    for alike in found.values():
        yield alike, _columns(alike)


def _columns(messages: Iterable[Telemetry]) -> list[Column]:
    return list(zip(*[message.values.values() for message in messages], strict=True))


def _rows(message: Telemetry, device: int, keys: Sequence[int]) -> bytes:
    head = _HEAD(len(COLUMNS), 8, message.time_us, 4, device)
    values = zip(keys, message.values.values(), strict=True)
    return b"".join([head + _fields(key, value) for key, value in values])


def _fields(key: int, value: Value) -> bytes:
    """What follows time and device."""
    match value:
        case float():
            return _NUMBER(4, key, 8, value, -1, -1, -1, -1)
        case bool():
            return _FLAG(4, key, -1, -1, 1, value, -1, -1)
        case int():
            return _WHOLE(4, key, -1, 8, value, -1, -1, -1)
        case str():
            text = value.encode()
            return _TEXT(4, key, -1, -1, -1, len(text)) + text + _NULL
        case _:
            text = _encode_json(value)
            return _JSON(4, key, -1, -1, -1, -1, len(text)) + text


def _rows_alike(
    messages: Sequence[Telemetry], devices: Mapping[str, int], keys: Sequence[int], columns: Sequence[Column]
) -> bytearray:
    """The rows of messages with the same metrics and kinds: those of the first one repeated, what differs set."""
    pattern = bytearray(_rows(messages[0], devices[messages[0].device], keys))
    width = len(pattern)
    starts: list[int] = []
    end = 0
    for column in columns:
        starts.append(end)
        end += _FIXED[type(column[0])][0]
    rows = pattern * len(messages)
    times = array("q", [one.time_us for one in messages])
    of_devices = array("i", [devices[one.device] for one in messages])
    _set(rows, width, times, [start + _TIME_AT for start in starts])
    _set(rows, width, of_devices, [start + _DEVICE_AT for start in starts])
    for start, column in zip(starts, columns, strict=True):
        _, at, code = _FIXED[type(column[0])]
        _set(rows, width, array(code, column), [start + at])
    return rows


def _set(rows: bytearray, width: int, numbers: array[Any], places: Iterable[int]) -> None:
    """Set one number in each ``width`` bytes, at each of ``places``; the first one is there already."""
    if byteorder == "little":
        numbers.byteswap()
    raw, size = bytearray(numbers.tobytes()), numbers.itemsize
    for byte in range(size):
        column = raw[byte::size]
        if column.count(column[0]) < len(column):
            for place in places:
                rows[place + byte :: width] = column
