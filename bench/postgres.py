"""The Postgres server that all sides write to, with a database for each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
from iot_system.errors import Unavailable
from psycopg import sql

from tests.harness.postgres import PostgresServer

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
"""What a figure of this benchmark rests on; read from the running server."""


class Postgres:
    """A connection of its administrator."""

    def __init__(self, server: PostgresServer, connection: psycopg.AsyncConnection) -> None:
        self._server = server
        self._connection = connection

    @property
    def version(self) -> str:
        """Of the server."""
        return self._connection.info.parameter_status("server_version") or "unknown"

    async def check_is_durable(self) -> None:
        """Raises `Unavailable` where a commit would not wait for the disk."""
        for name, wanted in DURABLE.items():
            found = await (await self._connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(name)))).fetchone()
            if found != (wanted,):
                raise Unavailable(f"Postgres has {name} = {found}; the benchmark compares what is durable")

    async def create(self, database: str) -> str:
        """Create it; returns its URL."""
        await self._connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return f"{self._server.url.rpartition('/')[0]}/{database}"

    async def checkpoint(self) -> None:
        """Write out what is dirty, so that nobody pays for the pages of the turn before."""
        await self._connection.execute("CHECKPOINT")


@contextlib.asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[Postgres]:
    """A server with its data below ``folder``."""
    server = PostgresServer(_open_to_all(folder), sync=True)
    try:
        await asyncio.to_thread(server.start)
        async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
            postgres = Postgres(server, connection)
            await postgres.check_is_durable()
            yield postgres
    finally:
        server.stop()


def _open_to_all(folder: Path) -> Path:
    """A folder for Postgres, which runs as another user where this runs as root."""
    folder.chmod(0o755)
    (within := folder / "postgres").mkdir()
    return within
