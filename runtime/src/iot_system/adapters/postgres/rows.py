"""Readings as rows of the history, in the binary format of COPY (PostgreSQL manual, "COPY", "Binary Format").

A row is its number of fields, then each field's length (-1 for null) and bytes, all big-endian. Packed here, because
this is where the time goes: one call per row instead of one per field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct

import msgspec

from iot_system.domain.readings import Telemetry

COLUMNS = ("time_us", "device", "metric", "number", "whole", "flag", "text", "json")
_FIELDS, _NULL = len(COLUMNS), -1
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NUMBER = Struct("!hiqiiii id iiii").pack
_WHOLE = Struct("!hiqiiii iiq iii").pack
_FLAG = Struct("!hiqiiii iii? ii").pack
_TEXT = Struct("!hiqiiii iiii").pack
_JSON = Struct("!hiqiiii iiiii").pack
_NOTHING = Struct("!i").pack(_NULL)
_encode_json = msgspec.json.Encoder().encode


def rows_of(messages: Iterable[Telemetry], devices: Mapping[str, int], metrics: Mapping[str, int]) -> bytearray:
    """What COPY takes in. Readings of devices without a key are left out."""
    rows = [_HEADER]
    add = rows.append
    for message in messages:
        device, time_us = devices.get(message.device), message.time_us
        if device is None:
            continue
        for name, value in message.values.items():
            metric, kind = metrics[name], type(value)
            if kind is float:
                add(_NUMBER(_FIELDS, 8, time_us, 4, device, 4, metric, 8, value, -1, -1, -1, -1))
            elif kind is int:
                add(_WHOLE(_FIELDS, 8, time_us, 4, device, 4, metric, -1, 8, value, -1, -1, -1))
            elif kind is bool:
                add(_FLAG(_FIELDS, 8, time_us, 4, device, 4, metric, -1, -1, 1, value, -1, -1))
            elif isinstance(value, str):
                text = value.encode()
                add(_TEXT(_FIELDS, 8, time_us, 4, device, 4, metric, -1, -1, -1, len(text)))
                add(text)
                add(_NOTHING)
            else:
                text = _encode_json(value)
                add(_JSON(_FIELDS, 8, time_us, 4, device, 4, metric, -1, -1, -1, -1, len(text)))
                add(text)
    add(_TRAILER)
    return bytearray().join(rows)
