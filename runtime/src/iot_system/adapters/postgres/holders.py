"""Sessions that hold partitions against their next owner, and whose client has fallen silent: they are ended.

An owner may stand still, or be lost with its machine, in the middle of the rows that it sends. The server waits for the
rest: while COPY reads, no timeout of a statement or a transaction ends it (Postgres, `ProcessClientReadInterrupt`), and
the machine of an owner that stands still goes on confirming that the connection is there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import structlog

from iot_system.adapters.postgres.database import Database
from iot_system.ending import ended
from iot_system.errors import Unavailable

PATIENCE_S = 3.0
SILENT_S = 2.0
_END = """
with recursive holding (pid) as (
    select unnest(pg_blocking_pids($1))
    union select unnest(pg_blocking_pids(pid)) from holding
)
select pid, host(client_addr), pg_terminate_backend(pid) from pg_stat_activity join holding using (pid)
where wait_event_type = 'Client' and usename = current_user
and state_change < clock_timestamp() - make_interval(secs => $2)
"""
"""Whoever works, or waits for a replica or a lock, is left alone. A COPY of more than `SILENT_S` may be met while it
waits for its next rows: what it writes is rolled back, and written by the next owner."""
log = structlog.get_logger()


@contextlib.asynccontextmanager
async def ending_holders(database: Database, pid: int) -> AsyncIterator[None]:
    """Meanwhile, whoever keeps the session ``pid`` waiting, and waits for its own client for `SILENT_S`, is ended."""
    watching = asyncio.create_task(_watch(database, pid))
    try:
        yield
    finally:
        watching.cancel()
        await ended([watching])


async def _watch(database: Database, pid: int) -> None:
    while True:
        await asyncio.sleep(PATIENCE_S)
        try:
            async with database.session() as session:
                found = await session.fetch(_END, pid, SILENT_S)
        except (Unavailable, asyncpg.PostgresError) as error:
            log.warning("nobody can tell who holds partitions", error=str(error))
            continue
        for holder, client, _ in found:
            log.warning(
                "a session was ended that held partitions, and whose client is silent", pid=holder, client=client
            )
