"""Readings as rows of the history, in the binary format of COPY (PostgreSQL manual, "COPY", "Binary Format").

A row is its number of fields, then each field's length (-1 for null) and bytes, all big-endian. Put together here, of
parts that many rows share, because this is where the time goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct

import msgspec

from iot_system.domain.readings import Telemetry

COLUMNS = ("time_us", "device", "metric", "number", "whole", "flag", "text", "json")
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_OF_MESSAGE = Struct("!hiqii").pack
"""Number of fields, time and device."""
_KEY = Struct("!ii").pack
_NUMBER = Struct("!d").pack
_WHOLE = Struct("!iiq").pack
_FLAG = Struct("!iii?").pack
_TEXT = Struct("!iiii").pack
_JSON = Struct("!iiiii").pack
_EIGHT, _NULL = (Struct("!i").pack(number) for number in (8, -1))
_NULLS_BEHIND_NUMBER, _NULLS_BEHIND_WHOLE, _NULLS_BEHIND_FLAG = 4 * _NULL, 3 * _NULL, 2 * _NULL
_encode_json = msgspec.json.Encoder().encode


def rows_of(messages: Iterable[Telemetry], devices: Mapping[str, int], metrics: Mapping[str, int]) -> bytearray:
    """What COPY takes in. Readings of devices without a key are left out."""
    keys = {metric: _KEY(4, key) for metric, key in metrics.items()}
    numbers = {metric: key + _EIGHT for metric, key in keys.items()}
    parts = [_HEADER]
    add = parts.extend
    for message in messages:
        device = devices.get(message.device)
        if device is None:
            continue
        head = _OF_MESSAGE(len(COLUMNS), 8, message.time_us, 4, device)
        for metric, value in message.values.items():
            kind = type(value)
            if kind is float:
                add((head, numbers[metric], _NUMBER(value), _NULLS_BEHIND_NUMBER))
            elif kind is int:
                add((head, keys[metric], _WHOLE(-1, 8, value), _NULLS_BEHIND_WHOLE))
            elif kind is bool:
                add((head, keys[metric], _FLAG(-1, -1, 1, value), _NULLS_BEHIND_FLAG))
            elif isinstance(value, str):
                text = value.encode()
                add((head, keys[metric], _TEXT(-1, -1, -1, len(text)), text, _NULL))
            else:
                text = _encode_json(value)
                add((head, keys[metric], _JSON(-1, -1, -1, -1, len(text)), text))
    parts.append(_TRAILER)
    return bytearray().join(parts)
