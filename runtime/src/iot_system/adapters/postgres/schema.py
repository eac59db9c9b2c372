"""The schema's version, and the plain SQL files that bring it: ``migrations/NNNN_name.sql``, run once, in order.

The rule for a new one: programs of the release before go on reading and writing, because both work with the database
while pods are replaced, and after a way back. So its first line says whose programs work with it (`_WORKS_WITH`). What
nobody uses any more, a column or an old form, is taken away one release after the last that used it.

Functions and rights follow each time: they have no version of their own, so an older version may come back.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import NamedTuple

import structlog

from iot_system.adapters.postgres import grants
from iot_system.adapters.postgres.database import Connection, Database
from iot_system.errors import InvalidSetting, Unavailable

_LOCK = 0x696F7401
"""Advisory lock: one migration at a time."""
_FIRST_RELEASE = 3
"""The schema of 0.1.0, whose programs want `schema_versions` to say just that, whatever else there is."""
_STEPS = """
create table if not exists schema_steps (
    version integer primary key,
    oldest integer not null,
    applied_at timestamptz not null default now()
);
insert into schema_steps (version, oldest)
select version, version from schema_versions where not exists (select from schema_steps)
"""
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


def _sql(folder: str) -> list[tuple[str, str]]:
    """File and statements, in order."""
    found = (one for one in files(__package__).joinpath(folder).iterdir() if one.name.endswith(".sql"))
    return [(one.name, one.read_text()) for one in sorted(found, key=lambda one: one.name)]


def _read(version: int, file: str, statements: str) -> Migration:
    said = _WORKS_WITH.match(statements)
    return Migration(version, int(said[1]) if said else version, file, statements)


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
    """Bring the schema up to date, one file after the other, each in one transaction; then what these roles may.

    Killed at any moment, it goes on where it was when it is called again. A newer schema that this version works with
    stays as it is. Raises `Unavailable` where the database does not answer or somebody holds a lock for long,
    `InvalidSetting` where its schema is too new.
    """
    async with database.migrating() as connection:
        while await _step(connection, database.server):
            pass
        await _allow(connection, runtime, reader)


async def _step(connection: Connection, server: str) -> bool:
    """One migration, if one is left."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        version = await _version(connection)
        if newer := await _too_new(connection, version):
            raise InvalidSetting(f"the database at {server} {newer}")
        if version >= VERSION:
            return False
        migration = migrations()[version]
        await connection.execute(migration.statements)
        await _write_down(connection, migration)
        log.info("migrated", database=server, file=migration.file, version=migration.version)
        return True


async def _allow(connection: Connection, runtime: str | None, reader: str | None) -> None:
    """Bring this version's functions, and what these roles may do."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_STEPS)
        for _, statements in _sql("functions"):
            await connection.execute(statements)
        if runtime is not None:
            await grants.shut(connection)
            await grants.grant_runtime(connection, runtime)
        if reader is not None:
            await grants.grant_reader(connection, reader)


async def _write_down(connection: Connection, migration: Migration) -> None:
    await connection.execute(_STEPS)
    step = "insert into schema_steps (version, oldest) values ($1, $2)"
    await connection.execute(step, migration.version, migration.oldest)
    if migration.version <= _FIRST_RELEASE or migration.oldest > _FIRST_RELEASE:
        await connection.execute("insert into schema_versions (version) values ($1)", migration.version)


async def _version(connection: Connection) -> int:
    """0 where there is none."""
    for table in ("schema_steps", "schema_versions"):
        if await connection.fetchval("select to_regclass($1) is not null", table):
            return int(await connection.fetchval(f"select coalesce(max(version), 0) from {table}"))  # noqa: S608
    return 0


async def _too_new(connection: Connection, version: int) -> str | None:
    """What is wrong with a schema that is newer than ours; None where its steps say that we work with it."""
    if version <= VERSION or await connection.fetchval("select max(oldest) from schema_steps") <= VERSION:
        return None
    return f"has schema {version}, which a newer version made; this one knows {VERSION}"


async def _has_functions(connection: Connection) -> bool:
    there = "select count(*) from unnest($1::text[]) f where to_regprocedure(f) is not null"
    return int(await connection.fetchval(there, list(grants.FUNCTIONS))) == len(grants.FUNCTIONS)
