"""The schema's version, and the plain SQL files that bring it: ``migrations/NNNN_name.sql``, run once, in order.

Functions and rights follow each time: they have no version of their own, so an older version may come back.
"""

from __future__ import annotations

from importlib.resources import files

import structlog

from iot_system.adapters.postgres import grants
from iot_system.adapters.postgres.database import Connection, Database
from iot_system.errors import InvalidSetting, Unavailable

_LOCK = 0x696F7401
"""Advisory lock: one migration at a time."""
log = structlog.get_logger()


def _migrations() -> list[tuple[str, str]]:
    """Name and SQL; the n-th brings version n."""
    return _sql("migrations")


def _sql(folder: str) -> list[tuple[str, str]]:
    found = (one for one in files(__package__).joinpath(folder).iterdir() if one.name.endswith(".sql"))
    return [(one.name, one.read_text()) for one in sorted(found, key=lambda one: one.name)]


VERSION = len(_migrations())


async def check(connection: Connection, server: str) -> None:
    """Raises `Unavailable` where the database has another schema than this version's, saying what to do."""
    version = await _version(connection)
    if version == VERSION and await _has_functions(connection):
        return
    if version > VERSION:
        raise Unavailable(
            f"the database at {server} has schema {version}, which a newer version made; this one knows {VERSION}: "
            "run the newer version"
        )
    if version == VERSION:
        raise Unavailable(f"the database at {server} lacks functions of this version: run iot-system migrate")
    has = f"schema {version}" if version else "no schema"
    raise Unavailable(f"the database at {server} has {has}, schema {VERSION} is needed: run iot-system migrate")


async def migrate(database: Database, *, runtime: str | None = None, reader: str | None = None) -> None:
    """Bring the schema up to date, and what these roles may do with it, in one transaction.

    Raises `Unavailable` where the database does not answer, `InvalidSetting` where its schema is newer than ours.
    """
    async with database.alone() as connection, connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        version = await _version(connection)
        if version > VERSION:
            raise InvalidSetting(
                f"the database at {database.server} has schema {version}, which a newer version made; "
                f"this one knows {VERSION}"
            )
        for number, (name, statements) in enumerate(_migrations()[version:], version + 1):
            await connection.execute(statements)
            await connection.execute("insert into schema_versions (version) values ($1)", number)
            log.info("migrated", database=database.server, file=name, version=number)
        for _, statements in _sql("functions"):
            await connection.execute(statements)
        if runtime is not None:
            await grants.shut(connection)
            await grants.grant_runtime(connection, runtime)
        if reader is not None:
            await grants.grant_reader(connection, reader)


async def _version(connection: Connection) -> int:
    """0 where there is none."""
    if not await connection.fetchval("select to_regclass('schema_versions') is not null"):
        return 0
    return int(await connection.fetchval("select coalesce(max(version), 0) from schema_versions"))


async def _has_functions(connection: Connection) -> bool:
    there = "select count(*) from unnest($1::text[]) f where to_regprocedure(f) is not null"
    return int(await connection.fetchval(there, list(grants.FUNCTIONS))) == len(grants.FUNCTIONS)
