"""The roles that a migration makes, and what they are bound to; each is the user of a URL."""

from __future__ import annotations

from typing import Literal

import asyncpg
import msgspec
import structlog

from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.postgres.grants import quoted
from iot_system.adapters.postgres.scram import scram_secret
from iot_system.adapters.postgres.server import user_of
from iot_system.errors import InvalidSetting

Kind = Literal["owner", "runtime", "reader"]
CONNECTIONS_PERCENT: dict[Kind, int] = {"owner": 5, "runtime": 75, "reader": 10}
"""The most of the server's connections that a role may have; the rest is for whoever looks after the server."""
SETTINGS: dict[Kind, dict[str, str]] = {
    "owner": {},
    "runtime": {},
    # Against mistakes: what a reader may do, and may not, its rights say.
    "reader": {
        "default_transaction_read_only": "on",
        "statement_timeout": "60s",
        "idle_in_transaction_session_timeout": "60s",
    },
}
_FOREIGN = """
select 'table', c.oid::regclass::text from pg_class c, pg_roles r
where r.rolname = $1 and c.relowner <> r.oid
and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
union all
select 'function', p.oid::regprocedure::text from pg_proc p, pg_roles r
where r.rolname = $1 and p.pronamespace = 'public'::regnamespace and p.proowner <> r.oid
and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
"""
"""What belongs to others, but for parts of extensions."""
log = structlog.get_logger()


class Role(msgspec.Struct, frozen=True):
    """``kind`` says what it is bound to."""

    kind: Kind
    name: str
    password: str


def role_of(kind: Kind, url: str, setting: str) -> Role:
    """The role of the URL that ``setting`` gave. Raises `InvalidSetting` where it has no user or no password."""
    return Role(kind, *user_of(url, setting))


async def make_role(connection: Connection, role: Role) -> None:
    """Make it, or set its password and bounds anew; one that may not be changed stays as it is.

    Raises `InvalidSetting` where it is missing and may not be made.
    """
    found = await connection.fetchrow("select rolsuper from pg_roles where rolname = $1", role.name)
    if found and found["rolsuper"]:
        log.warning("a role is a superuser, whose rights nothing narrows", role=role.name, used_as=role.kind)
        return
    try:
        async with connection.transaction():
            most = await connection.fetchval(
                "select greatest(1, current_setting('max_connections')::integer * $1 / 100)",
                CONNECTIONS_PERCENT[role.kind],
            )
            await connection.execute(
                f"{'alter' if found else 'create'} role {quoted(role.name)} "
                f"login connection limit {most} password '{scram_secret(role.password)}'"
            )
            for name, value in SETTINGS[role.kind].items():
                await connection.execute(f"alter role {quoted(role.name)} set {name} = '{value}'")
    except asyncpg.InsufficientPrivilegeError as error:
        maker = await connection.fetchval("select current_user")
        if not found:
            raise InvalidSetting(
                f"the role {role.name!r} does not exist, and {maker!r} may not make it: make it, or let {maker!r} make "
                "roles (CREATEROLE)"
            ) from error
        log.info("a role stays as it is", role=role.name, reason=f"{maker} may not change it")


async def hand_over(connection: Connection, owner: str) -> None:
    """Make ``owner`` the owner of the database and of all in it; the server's other databases are closed to all.

    One statement each, so that who uses a table waits for that one only.
    """
    database = await connection.fetchval("select current_database()")
    await connection.execute(f"alter database {quoted(database)} owner to {quoted(owner)}")
    await connection.execute(f"alter schema public owner to {quoted(owner)}")
    for kind, name in await connection.fetch(_FOREIGN, owner):
        await connection.execute(f"alter {kind} {name} owner to {quoted(owner)}")
        log.info("handed over", owner=owner, name=name)
    for (other,) in await connection.fetch("select datname from pg_database where datname <> $1", database):
        await connection.execute(f"revoke all on database {quoted(other)} from public")
