"""Readings as rows of the history, in the binary format of COPY (PostgreSQL manual, "COPY", "Binary Format").

A row is its number of fields, then each field's length (-1 for null) and bytes, all big-endian. Numbers and bools of
one message share a row, others have one each. Put together here, and for many messages at once, because this is where
the time goes.
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
SINGLE = ("time_us", "device", "metric", "number", "whole", "flag", "text", "json")
COLUMNS = (*SINGLE, "metrics", "numbers", "wholes", "flags")
FEW = 8
"""So many messages that are alike are put together one by one."""
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_HEAD = Struct("!hiqii")
"""Number of fields, time and device."""
_TIME_AT, _DEVICE_AT = 6, 18
_INT = Struct("!i").pack
_KEY = Struct("!ii").pack
_NULL = _INT(-1)
_NOT_PACKED = 4 * _NULL
_ARRAY = Struct("!iiiii").pack
"""Dimensions, whether there are nulls, the type of its elements (its OID), their number, the first one's index."""
_INTEGER = 23
_PACKED: Mapping[type, tuple[int, Struct, str]] = {
    float: (701, Struct("!id"), "d"),
    int: (20, Struct("!iq"), "q"),
    bool: (16, Struct("!i?"), "b"),
}
"""Kinds of values that share a row, in the order of their arrays: type, form of an element, and type in `array`."""
_VALUE_AT: Mapping[type, int] = {float: 12, int: 16, bool: 20}
"""Where the value stands behind time and device of a row of its own."""
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
            if len(alike) > FEW and all(type(column[0]) in _PACKED for column in columns):
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
    """One message's, of any values."""
    head = _head(message.time_us, device)
    readings = list(zip(keys, message.values.values(), strict=True))
    packed = [reading for reading in readings if type(reading[1]) in _PACKED]
    rows = [head + _single(*reading) for reading in readings if len(packed) == 1 or type(reading[1]) not in _PACKED]
    if len(packed) > 1:
        rows.append(head + _together(packed)[0])
    return b"".join(rows)


def _rows_alike(
    messages: Sequence[Telemetry], devices: Mapping[str, int], keys: Sequence[int], columns: Sequence[Column]
) -> bytearray:
    """The rows of messages with the same metrics and kinds: those of the first one repeated, what differs set."""
    first = list(zip(keys, [column[0] for column in columns], strict=True))
    fields, places = _together(first) if len(first) > 1 else (_single(*first[0]), [_VALUE_AT[type(first[0][1])]])
    pattern = bytearray(_head(messages[0].time_us, devices[messages[0].device]) + fields)
    rows = pattern * len(messages)
    _set(rows, len(pattern), array("q", [one.time_us for one in messages]), _TIME_AT)
    _set(rows, len(pattern), array("i", [devices[one.device] for one in messages]), _DEVICE_AT)
    for column, place in zip(columns, places, strict=True):
        _set(rows, len(pattern), array(_PACKED[type(column[0])][2], column), _HEAD.size + place)
    return rows


def _head(time_us: int, device: int) -> bytes:
    return _HEAD.pack(len(COLUMNS), 8, time_us, 4, device)


def _single(key: int, value: Value) -> bytes:
    """The fields behind time and device of one reading."""
    match value:
        case float():
            before, field = 0, _PACKED[float][1].pack(8, value)
        case bool():
            before, field = 2, _PACKED[bool][1].pack(1, value)
        case int():
            before, field = 1, _PACKED[int][1].pack(8, value)
        case str():
            text = value.encode()
            before, field = 3, _INT(len(text)) + text
        case _:
            text = _encode_json(value)
            before, field = 4, _INT(len(text)) + text
    return _KEY(4, key) + before * _NULL + field + (4 - before) * _NULL + _NOT_PACKED


def _together(readings: Sequence[tuple[int, Value]]) -> tuple[bytes, list[int]]:
    """The fields behind time and device of a row that many share, and where in them each value stands.

    Metrics are in the order of the arrays with their values; what stands in an array behind others is led by nulls.
    """
    by_kind = {kind: [at for at, (_, value) in enumerate(readings) if type(value) is kind] for kind in _PACKED}
    order = [at for those in by_kind.values() for at in those]
    fields = bytearray(_KEY(4, readings[order[0]][0]) + 5 * _NULL)
    metrics = _ARRAY(1, 0, _INTEGER, len(order), 1) + b"".join([_KEY(4, readings[at][0]) for at in order])
    fields += _INT(len(metrics)) + metrics
    places = [0] * len(readings)
    before = 0
    for kind, those in by_kind.items():
        if not those:
            fields += _NULL
            continue
        oid, element, _ = _PACKED[kind]
        field = bytearray(_ARRAY(1, before > 0, oid, before + len(those), 1) + before * _NULL)
        for at in those:
            places[at] = len(fields) + 4 + len(field) + 4
            field += element.pack(element.size - 4, readings[at][1])
        fields += _INT(len(field)) + field
        before += len(those)
    return bytes(fields), places


def _set(rows: bytearray, width: int, numbers: array[Any], place: int) -> None:
    """Set one number in each ``width`` bytes; the first one is there already."""
    if byteorder == "little":
        numbers.byteswap()
    raw, size = bytearray(numbers.tobytes()), numbers.itemsize
    for byte in range(size):
        column = raw[byte::size]
        if column.count(column[0]) < len(column):
            rows[place + byte :: width] = column
