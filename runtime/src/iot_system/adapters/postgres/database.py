"""Connections to Postgres: bounded in number and time, and every trouble told as `Unavailable`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, TypeAlias

import asyncpg

from iot_system.adapters.postgres import confirming
from iot_system.adapters.postgres.connecting import TROUBLE, connect
from iot_system.adapters.postgres.server import DATABASE_URL, server_of
from iot_system.adapters.tls.contexts import client_contexts, file_of, pair_of
from iot_system.errors import InvalidSetting, Unavailable
from iot_system.settings import DatabaseTlsSettings

Connection: TypeAlias = Any
"""An `asyncpg.Connection`, of the pool or not."""
NO_TLS = DatabaseTlsSettings()
NO_LOGIN: Mapping[str, str] = MappingProxyType({})
CONNECTIONS = 4
CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 20.0
SESSION = {
    "application_name": "iot-system",
    "timezone": "UTC",
    # Short statements over many partitions: compiling them costs more than it saves.
    "jit": "off",
    # An owner that froze must not hold its partitions' rows against the next one; see `holders` too.
    "idle_in_transaction_session_timeout": "15s",
    # A statement ends with its client, instead of holding locks, or a place among those that wait, for nobody; but for
    # a commit that waits for a replica.
    "client_connection_check_interval": "5s",
    # A client that was lost with its machine is known as gone after 25 s (two hours, as systems have it).
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
}
MIGRATION = {
    # Who waits for a table's lock makes everybody else wait behind: rather try again in a moment.
    "lock_timeout": "5s",
}
MIGRATION_TIMEOUT_S = 3600.0
"""An index over years of history is not made in a moment."""
_PASSING = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"})
"""SQLSTATE classes that say nothing about our statement: connection, transaction state (a read-only standby), login,
unknown database, rolled back, resources, locks, operator, system and internal errors."""


class Database:
    """A pool of connections to the server that ``url`` names, or to whichever of several it wants.

    ``setting`` gave the URL; ``login``: as another user.

    Raises `InvalidSetting` for files that cannot be used.
    """

    def __init__(
        self,
        url: str,
        tls: DatabaseTlsSettings = NO_TLS,
        *,
        setting: str = DATABASE_URL,
        login: Mapping[str, str] = NO_LOGIN,
    ) -> None:
        self.server = server_of(url, setting)
        self._url = url
        self._setting = setting
        self._login = login
        self._tls = None
        if tls.ca is not None:
            pair = pair_of("DATABASE_TLS", tls.certificate, tls.key)
            self._tls = client_contexts(file_of("DATABASE_TLS_CA", tls.ca), pair)
        self._pool: Any = None

    async def start(self) -> None:
        """Connect. Raises `Unavailable` where the server does not let us in."""
        with self._telling():
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=CONNECTIONS,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings=SESSION,
                reset=_keep_session,
                connect=self._connect,
                connection_class=confirming.Connection,
            )

    async def stop(self) -> None:
        """Close at once what is open; idempotent."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A connection for statements that stand alone."""
        if self._pool is None:
            raise Unavailable(f"the database at {self.server} is not connected")
        with self._telling():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                try:
                    yield connection
                except asyncpg.ReadOnlySQLTransactionError:
                    # This was the primary once; the others of the pool lead there too.
                    await self._pool.expire_connections()
                    raise
                except (TimeoutError, asyncpg.InternalClientError):
                    # The server may be frozen, or the connection in no state to use: do not wait for a rollback, nor
                    # once more for each of the others.
                    connection.terminate()
                    await self._pool.expire_connections()
                    raise

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for statements whose answers somebody gets: its server is the primary, see `confirming`."""
        async with self.session() as connection:
            await connection.confirm(confirming.CONFIRMED_S)
            yield connection

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection whose statements are committed together at the end, or not at all after an error."""
        async with self.session() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
            except (TimeoutError, asyncpg.InternalClientError):
                raise
            except BaseException:
                with contextlib.suppress(*TROUBLE):  # the connection may be gone, and the transaction with it
                    await transaction.rollback()
                raise
            await transaction.commit()

    def alone(self) -> AbstractAsyncContextManager[Connection]:
        """A connection outside the pool, before `start`."""
        return self._one(SESSION, COMMAND_TIMEOUT_S)

    def migrating(self) -> AbstractAsyncContextManager[Connection]:
        """A connection whose statements may take long, but wait for no lock for long."""
        return self._one(SESSION | MIGRATION, MIGRATION_TIMEOUT_S)

    @contextlib.asynccontextmanager
    async def _one(self, session: dict[str, str], command_timeout_s: float) -> AsyncIterator[Connection]:
        with self._telling():
            connection = await self._connect(
                self._url, timeout=CONNECT_TIMEOUT_S, command_timeout=command_timeout_s, server_settings=session
            )
            try:
                yield connection
            finally:
                connection.terminate()

    async def _connect(self, url: str, **options: Any) -> Connection:
        """Each connection has the newest certificates; with them, what the URL says of TLS does not count."""
        if self._tls is not None:
            options["ssl"] = self._tls.current
        return await connect(self.server, url, **options, **self._login)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except asyncpg.ClientConfigurationError as error:
            # The driver quotes parts of the URL, which may be parts of the password.
            raise InvalidSetting(f"{self._setting} for {self.server} cannot be used: {type(error).__name__}") from None
        except TROUBLE as error:
            if not _is_passing(error):
                raise
            reason = str(error).partition("\n")[0] or type(error).__name__
            trouble = "has no space left" if isinstance(error, asyncpg.DiskFullError) else "does not answer"
            raise Unavailable(f"the database at {self.server} {trouble}: {reason}") from error


async def _keep_session(_connection: Connection) -> None:
    """Nobody changes it, so that asking the server to reset it would be a round trip for nothing."""


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "XX")[:2] in _PASSING
    # A client-side `DataError` is both: an argument that fits no column.
    return not isinstance(error, asyncpg.InterfaceError) or not isinstance(error, ValueError)
