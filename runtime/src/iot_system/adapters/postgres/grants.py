"""What the actor system and readers may do with each table: no more than their statements need.

A table that is in none of these is the owner's alone, and so is each partition: who may use the history may use the
table above them.
"""

from __future__ import annotations

from collections.abc import Mapping

from iot_system.adapters.postgres.database import Connection

RUNTIME: Mapping[str, str] = {
    "schema_versions": "select",
    "schema_steps": "select",
    "partitions": "select, insert, update (epoch, owner, stream, applied, revision, received, sent)",
    "outbox": "select, insert, delete",
    "devices": "select, insert, delete, update (room, behaviour, labels, enabled, gateway, created_us, updated_us)",
    "device_states": "select, insert, update (state)",
    "credentials": "select, insert, delete",
    "connections": "select, insert, delete, update (partition, gateway)",
    "commands": "select, insert, delete, update (status, updated_us, result, reason, sends)",
    "rooms": "select, insert, delete, update (state)",
    "room_registrations": "select, insert, delete, update (behaviour, labels, stale_after_s, created_us, updated_us)",
    "timers": "select, insert, delete, update (due_us)",
    "failures": "select, insert, delete",
    "metrics": "select, insert",
    "history": "select, insert, delete",
    "history_rest": "select, delete",
    "readings": "select",
    "removed_devices": "select, insert, delete",
    "api_tokens": "select, insert, delete",
    "audit": "select, insert, delete",
}
READER: Mapping[str, str] = {
    "devices": "select",
    "room_registrations": "select",
    "metrics": "select",
    "history": "select",
    "readings": "select",
}
FUNCTIONS = ("make_history_day(integer)", "drop_history_day(integer)")
"""What the actor system may call, and nobody else."""
_HELD = """
select c.oid::regclass::text from pg_class c, pg_roles r
where r.rolname = $1 and c.relnamespace = 'public'::regnamespace and exists (
    select from aclexplode(c.relacl) a where a.grantee = r.oid
    union all
    select from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid and a.grantee = r.oid
)
"""
"""Tables of which a role may use anything."""


def quoted(name: str) -> str:
    """As an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


async def shut(connection: Connection) -> None:
    """What Postgres lets everyone do, nobody may who was not named: connect, and make tables, temporary or not."""
    database = quoted(await connection.fetchval("select current_database()"))
    await connection.execute(f"revoke all on database {database} from public")
    await connection.execute("revoke create on schema public from public")


async def grant_runtime(connection: Connection, role: str) -> None:
    """What the actor system needs; temporary tables are for readings that may be known already."""
    await _grant(connection, role, "connect, temporary", RUNTIME)
    for function in FUNCTIONS:
        await connection.execute(f"grant execute on function {function} to {quoted(role)}")


async def grant_reader(connection: Connection, role: str) -> None:
    """What dashboards need: the history, and which devices and rooms there are."""
    await _grant(connection, role, "connect", READER)


async def _grant(connection: Connection, role: str, on_database: str, on_tables: Mapping[str, str]) -> None:
    """These rights and no others: what an earlier version gave is taken back."""
    database = quoted(await connection.fetchval("select current_database()"))
    await connection.execute(f"grant {on_database} on database {database} to {quoted(role)}")
    await connection.execute(f"grant usage on schema public to {quoted(role)}")
    for (table,) in await connection.fetch(_HELD, role):
        await connection.execute(f"revoke all on {table} from {quoted(role)}")
    for table, rights in on_tables.items():
        await connection.execute(f"grant {rights} on {table} to {quoted(role)}")
