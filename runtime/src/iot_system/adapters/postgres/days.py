"""The days of the history: a native partition each, made ahead and on demand, dropped whole.

Made and dropped by functions of the tables' owner (``functions/days.sql``): who uses the store need not own any.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog

from iot_system.adapters.postgres.database import Connection, Database

DAY_US = 86_400_000_000
DAYS_AHEAD = 7
DAYS_LIMIT = 1500
"""How many days get a partition on demand; what comes from further ones shares `history_rest`. A query without bounds
locks each partition and its index, and the server's lock table has some thousand places."""
DAYS_AT_ONCE = 50
"""How many are made in one transaction, for the same reason."""
_LOCK = 0x696F7402
"""Advisory lock: one process at a time makes or drops partitions."""
_PREFIX = "history_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAKE = "select make_history_day($1)"
log = structlog.get_logger()


class Days:
    """Makes partitions of `history`; a day is counted from 1970."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: set[int] = set()

    def forget(self) -> None:
        """Look again: the database may have been another one."""
        self._seen.clear()

    async def prepare(self, days: set[int]) -> None:
        """Make partitions for ``days`` that have none, as long as there are fewer than `DAYS_LIMIT`."""
        if days <= self._seen:
            return
        missing = sorted(days - self._seen, reverse=True)  # the newest first: they are asked for most
        while missing:
            some, missing = missing[:DAYS_AT_ONCE], missing[DAYS_AT_ONCE:]
            async with self._database.transaction() as connection:
                existing = await _existing(connection)
                for day in some:
                    if day not in existing and len(existing) < DAYS_LIMIT:
                        await connection.execute(_MAKE, day)
                        existing.add(day)
            self._seen |= existing.union(some)

    async def maintain(self, *, now_us: int, retention_days: int) -> None:
        """Make the coming days' partitions; drop those before the ``retention_days`` last whole days (0: none)."""
        today = now_us // DAY_US
        async with self._database.transaction() as connection:
            existing = await _existing(connection)
            for day in sorted({*range(today, today + DAYS_AHEAD + 1)} - existing):
                await connection.execute(_MAKE, day)
        if not retention_days:
            return
        first = today - retention_days
        for day in sorted(day for day in existing if day < first):
            await self._drop(day)
        async with self._database.session() as session:
            await session.execute("delete from history_rest where time_us < $1", first * DAY_US)

    async def stretches(self) -> list[tuple[int, int]]:
        """Beginning and end, in microseconds, of each day that has a partition."""
        async with self._database.session() as session:
            return [(day * DAY_US, (day + 1) * DAY_US) for day in _days(await _tables(session))]

    async def _drop(self, day: int) -> None:
        async with self._database.transaction() as connection:
            # Whoever reads meanwhile goes on; everybody else waits for us no longer than this.
            await connection.execute("set local lock_timeout = '5s'")
            if day in await _existing(connection):
                await connection.execute("select drop_history_day($1)", day)
                log.info("dropped a day of history", table=_table(day))
        self._seen.discard(day)


async def _existing(connection: Connection) -> set[int]:
    """Days that have a partition; nobody else changes that until the end of the transaction."""
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
    return set(_days(await _tables(connection)))


async def _tables(connection: Connection) -> list[str]:
    rows = await connection.fetch(
        "select relname::text from pg_inherits join pg_class on oid = inhrelid where inhparent = 'history'::regclass"
    )
    return [row[0] for row in rows]


def _table(day: int) -> str:
    return f"{_PREFIX}{_EPOCH + timedelta(days=day):%Y%m%d}"


def _days(tables: Iterable[str]) -> Iterable[int]:
    for table in tables:
        if (text := table.removeprefix(_PREFIX)).isdecimal():
            yield (datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC) - _EPOCH).days
