"""One SQLite connection in one thread of its own: statements never block the event loop, nor each other."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Concatenate, ParamSpec, TypeVar

from iot_system.errors import Unavailable

MEMORY = ":memory:"
LOCK_TIMEOUT_S = 5.0
"""How long a write waits for another process that writes to the same file."""
P = ParamSpec("P")
T = TypeVar("T")


def _migrations() -> list[str]:
    """SQL; the n-th brings version n."""
    found = (one for one in files(__package__).joinpath("migrations").iterdir() if one.name.endswith(".sql"))
    return [one.read_text() for one in sorted(found, key=lambda one: one.name)]


VERSION = len(_migrations())
"""Of the schema, kept in the file as its ``user_version``."""


class Database:
    """The file ``path``, or memory of this object alone (`MEMORY`)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sqlite3.Connection | None = None

    async def start(self) -> None:
        """Open, and bring the schema up to date. Raises `Unavailable` where that cannot be."""
        await self._in_thread(self._open)

    async def stop(self) -> None:
        """Close; idempotent."""
        await self._in_thread(self._close)

    async def write(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``function`` in a transaction of its own."""
        return await self._in_thread(lambda: self._transact("begin immediate", function, *args, **kwargs))

    async def read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run ``function``, which sees one state of everything."""
        return await self._in_thread(lambda: self._transact("begin", function, *args, **kwargs))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transact(
        self, begin: str, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        connection = self._connection
        if connection is None:
            raise Unavailable(f"the database {self._path} is not open")
        try:
            connection.execute(begin)
            result = function(connection, *args, **kwargs)
            connection.execute("commit")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("rollback")
            if isinstance(error, sqlite3.OperationalError):
                raise Unavailable(f"the database {self._path} cannot be used: {error}") from error
            raise
        return result

    def _open(self) -> None:
        self._close()
        try:
            connection = sqlite3.connect(self._path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as error:
            raise Unavailable(f"the database {self._path} cannot be opened: {error}") from error
        self._connection = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Durable with each commit: what was applied is not read from the stream again.
        for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
            connection.execute(f"pragma {pragma}")
        (version,) = connection.execute("pragma user_version").fetchone()
        for number, statements in enumerate(_migrations()[version:], version + 1):
            # In one transaction: of two processes that begin at once, one fails and comes again.
            connection.executescript(f"begin immediate; {statements}; pragma user_version = {number}; commit")
        if version > VERSION:
            raise Unavailable(
                f"the database {self._path} has schema {version}, which a newer version made; this one knows "
                f"{VERSION}: run the newer version"
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
