"""The schema's version, and the plain SQL files that bring it: ``migrations/NNNN_name.sql``, run once, in order.

The rule for a new one: programs of the release before go on reading and writing, because both work with the database
while pods are replaced, and after a way back. So its first line says whose programs work with it (`_WORKS_WITH`). What
nobody uses any more, a column or an old form, is taken away one release after the last that used it.

Functions and rights follow each time: they have no version of their own, so an older version may come back.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import NamedTuple

import structlog

from iot_system.adapters.postgres import grants
from iot_system.adapters.postgres.database import Connection, Database
from iot_system.errors import InvalidSetting, Unavailable

_LOCK = 0x696F7401
"""Advisory lock: one migration at a time."""
_WORKS_WITH = re.compile(r"-- Programs of schema (\d+) work with it\.\n")
log = structlog.get_logger()


class Migration(NamedTuple):
    """Programs of the schema ``oldest`` and later ones work with what it brings, the schema ``version``."""

    version: int
    oldest: int
    file: str
    statements: str


def migrations() -> list[Migration]:
    """All of them, in order."""
    return [_read(version, file, statements) for version, (file, statements) in enumerate(_sql("migrations"), 1)]


def _read(version: int, file: str, statements: str) -> Migration:
    said = _WORKS_WITH.match(statements)
    return Migration(version, int(said[1]) if said else version, file, statements)


def _sql(folder: str) -> list[tuple[str, str]]:
    found = (one for one in files(__package__).joinpath(folder).iterdir() if one.name.endswith(".sql"))
    return [(one.name, one.read_text()) for one in sorted(found, key=lambda one: one.name)]


VERSION = len(migrations())


async def check(connection: Connection, server: str) -> None:
    """Raises `Unavailable` where the database has a schema that this version does not work with, saying what to do."""
    version = await _version(connection)
    if version < VERSION:
        has = f"schema {version}" if version else "no schema"
        raise Unavailable(f"the database at {server} has {has}, schema {VERSION} is needed: run iot-system migrate")
    if newer := await _too_new(connection, version):
        raise Unavailable(f"the database at {server} {newer}: run the newer version")
    if not await _has_functions(connection):
        raise Unavailable(f"the database at {server} lacks functions of this version: run iot-system migrate")


async def migrate(database: Database, *, runtime: str | None = None, reader: str | None = None) -> None:
    """Bring the schema up to date, one file after the other, each in one transaction; then what these roles may do.

    Killed at any moment, it goes on where it was when it is called again. A newer schema that this version works with
    stays as it is. Raises `Unavailable` where the database does not answer or somebody holds a lock for long,
    `InvalidSetting` where its schema is too new.
    """
    async with database.migrating() as connection:
        while await _step(connection, database.server):
            pass
        async with _one_at_a_time(connection):
            for _, statements in _sql("functions"):
                await connection.execute(statements)
            if runtime is not None:
                await grants.shut(connection)
                await grants.grant_runtime(connection, runtime)
            if reader is not None:
                await grants.grant_reader(connection, reader)


async def _step(connection: Connection, server: str) -> bool:
    """One migration, if one is left."""
    async with _one_at_a_time(connection):
        version = await _version(connection)
        if newer := await _too_new(connection, version):
            raise InvalidSetting(f"the database at {server} {newer}")
        if version >= VERSION:
            return False
        migration = migrations()[version]
        await connection.execute(migration.statements)
        # The runner's own, and no migration: programs that know nothing of it count the versions, too.
        await connection.execute("alter table schema_versions add column if not exists oldest integer")
        written = "insert into schema_versions (version, oldest) values ($1, $2)"
        await connection.execute(written, migration.version, migration.oldest)
        log.info("migrated", database=server, file=migration.file, version=migration.version)
        return True


@contextlib.asynccontextmanager
async def _one_at_a_time(connection: Connection) -> AsyncIterator[None]:
    """A transaction that no other one of these runs beside."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        yield


async def _version(connection: Connection) -> int:
    """0 where there is none."""
    if not await connection.fetchval("select to_regclass('schema_versions') is not null"):
        return 0
    return int(await connection.fetchval("select coalesce(max(version), 0) from schema_versions"))


async def _too_new(connection: Connection, version: int) -> str | None:
    """What is wrong with a schema that is newer than ours; None where its steps say that we work with it."""
    if version <= VERSION:
        return None
    oldest = await connection.fetchval("select max(coalesce(oldest, version)) from schema_versions")
    return None if oldest <= VERSION else f"has schema {version}, which a newer version made; this one knows {VERSION}"


async def _has_functions(connection: Connection) -> bool:
    there = "select count(*) from unnest($1::text[]) f where to_regprocedure(f) is not null"
    return int(await connection.fetchval(there, list(grants.FUNCTIONS))) == len(grants.FUNCTIONS)
