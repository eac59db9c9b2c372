"""Values in the history's typed columns: one column per kind, the others null."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from iot_system.domain.history import Reading
from iot_system.domain.readings import Value

COLUMNS = {
    float: ("number", "double precision"),
    int: ("whole", "bigint"),
    bool: ("flag", "boolean"),
    str: ("text", "text"),
    dict: ("json", "json"),
    list: ("json", "json"),
}
"""Type of a value → column and its type."""
NUMBER = "coalesce(h.number, h.whole)"
VALUE = "h.number, h.whole, h.flag, h.text, h.json"
"""What `value_of` reads."""
_encode_json = msgspec.json.Encoder().encode


Rows = tuple[list[int], list[int], list[int], list[Any]]
"""Columns: keys of devices, keys of metrics, times in µs, values."""


def rows_by_kind(
    readings: Iterable[Reading], devices: Mapping[str, int], metrics: Mapping[str, int]
) -> dict[str, Rows]:
    """Value column → what goes into the history with it. Readings of devices without a key are left out."""
    kinds: dict[type, Rows] = {}
    for reading in readings:
        value = reading.value
        device = devices.get(reading.device)
        if device is None:
            continue
        rows = kinds.get(type(value))
        if rows is None:
            rows = kinds[type(value)] = ([], [], [], [])
        rows[0].append(device)
        rows[1].append(metrics[reading.metric])
        rows[2].append(reading.time_us)
        rows[3].append(value)
    columns: dict[str, Rows] = {}
    for kind, rows in kinds.items():
        column = COLUMNS[kind][0]
        if column == "json":
            rows = (*rows[:3], [_encode_json(value).decode() for value in rows[3]])
        if column in columns:
            for there, here in zip(columns[column], rows, strict=True):
                there.extend(here)
        else:
            columns[column] = rows
    return columns


def value_of(number: float | None, whole: int | None, flag: bool | None, text: str | None, json: str | None) -> Value:
    """The one that is there."""
    for plain in (number, whole, flag, text):
        if plain is not None:
            return plain
    value: Value = msgspec.json.decode(json or "null")
    return value
