"""Ids of devices and rooms, and the hash slot (partition) that each belongs to."""

from __future__ import annotations

import re
from functools import lru_cache
from zlib import crc32

from iot_system.errors import InvalidInput

ID_LENGTH_LIMIT = 128
PARTITION_LIMIT = 4096
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ME = "me"
"""Stands for a device's own id."""
_RESERVED = frozenset({ME})


def check_id(value: str, *, field: str) -> str:
    """Return ``value`` if it is a valid id, else raise `InvalidInput` that names ``field``."""
    if len(value) > ID_LENGTH_LIMIT:
        raise InvalidInput(f"{field} has {len(value)} characters; the limit is {ID_LENGTH_LIMIT}")
    if not _ID.fullmatch(value):
        raise InvalidInput(
            f"{field} {value!r} is not an id: letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    if value in _RESERVED:
        raise InvalidInput(f"{field} {value!r} is a reserved word")
    return value


def is_id(value: str) -> bool:
    """Whether ``value`` is a valid id."""
    return _ID.fullmatch(value) is not None and value not in _RESERVED


@lru_cache(maxsize=262_144)
def partition_of(id_: str, partitions: int) -> int:
    """Return the partition (0 to ``partitions`` - 1) of a device or room id.

    Version 1 of the hash: CRC-32 (ISO 3309) of the UTF-8 bytes, modulo the number of partitions. It decides where
    stored state lives, so it never changes for an installation: `HASH_VERSION` is stored with the streams.
    """
    return crc32(id_.encode()) % partitions


HASH_VERSION = 1
