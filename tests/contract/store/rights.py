"""What a role may really do: every statement is tried, and rolled back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

DAY = "a day of the history"
TEMPORARY = "temporary tables"
_IS_DAY = re.compile("history_[0-9]{8}")
_BESIDES = ("TRUNCATE", "REFERENCES", "TRIGGER")
"""Rights that no statement of ours needs."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def objects(admin: asyncpg.Connection) -> dict[str, list[str]]:
    """Everything of the schema that rights can be given on: its columns, none for a function."""
    rows = await admin.fetch(
        "select c.oid::regclass::text, array(select a.attname::text from pg_attribute a where a.attrelid = c.oid "
        "and a.attnum > 0 and not a.attisdropped order by a.attnum) from pg_class c "
        "where c.relnamespace = 'public'::regnamespace and c.relkind not in ('i', 'I', 't', 'S') union all "
        "select p.oid::regprocedure::text, '{}' from pg_proc p where p.pronamespace = 'public'::regnamespace"
    )
    return dict(rows)


def row_of(name: str) -> str:
    """Where it stands in the table."""
    return DAY if _IS_DAY.fullmatch(name) else name


async def rights(connection: asyncpg.Connection, name: str, columns: list[str]) -> str:
    """As the table writes them."""
    if not columns:
        return "EXECUTE" if await may(connection, f"select {re.sub(r'[a-z]+(?=[,)])', 'null', name)}") else "-"
    statements: Mapping[str, str] = {
        "SELECT": f"select * from {name} limit 0",
        "INSERT": f"insert into {name} default values",
        "DELETE": f"delete from {name} where false",
    }
    found = [right for right, statement in statements.items() if await may(connection, statement)]
    changed = [one for one in columns if await may(connection, f'update {name} set "{one}" = default where false')]
    if changed:
        found.append(f"UPDATE ({', '.join(changed)})")
    held = "select r from unnest($2::text[]) r where has_table_privilege($1, r)"
    found += [right for (right,) in await connection.fetch(held, name, _BESIDES)]
    for right in {"SELECT", "INSERT"}.difference(found):
        if await connection.fetchval("select has_any_column_privilege($1, $2)", name, right):
            found.append(f"{right} (some columns)")
    return ", ".join(found) or "-"


async def may(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether the server lets this user try ``statement``, whatever comes of it."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return False
    except asyncpg.ObjectNotInPrerequisiteStateError:  # a view that nobody can change
        return False
    except asyncpg.PostgresError:
        return True
    finally:
        await transaction.rollback()
    return True
