"""The table of the sides that are no system: small integers for names, as one would have it for speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import asyncpg

Row: TypeAlias = tuple[int, int, int, Any]
"""(device, metric, microseconds since 1970, value): a number or a bool, as COPY takes it for a number."""

TABLE = (
    "create table if not exists readings (device integer, metric integer, time_us bigint, value double precision,"
    " primary key (device, time_us, metric))"
)
COLUMNS = ("device", "metric", "time_us", "value")


class Keys:
    """Name → integer, given out as names come. Their table is left out: it would be written once per name."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self._keys.setdefault(name, len(self._keys))


async def copy(connection: asyncpg.Connection, rows: Sequence[Row]) -> None:
    """Write ``rows`` by COPY; those that are there already once more, which happens where a message was sent again."""
    try:
        async with connection.transaction():
            await connection.copy_records_to_table("readings", records=rows, columns=COLUMNS)
    except asyncpg.UniqueViolationError:
        await connection.executemany("insert into readings values ($1, $2, $3, $4) on conflict do nothing", rows)
