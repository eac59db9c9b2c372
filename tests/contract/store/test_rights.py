"""Who may do what in Postgres: every role with every table, column and function, against the table in the docs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from iot_system.adapters.stores import open_store
from iot_system.domain.history import Reading

from tests.contract.store.owner import Owner
from tests.contract.store.rights import DAY, TEMPORARY, connected, may, objects, rights, row_of
from tests.harness.postgres import OWNER, PASSWORD, READER, RUNTIME, PostgresServer

ROOT = Path(__file__).parents[3]
STRANGER = "somebody"
COLUMNS = {f"`{RUNTIME}`": RUNTIME, f"`{READER}`": READER, "others": STRANGER}
OVER, COMING = 16_000, 2_000_000
"""Days: one of 2013, one of the far future."""
NOT_FOR_USERS = (
    "create table mine ()",
    "create view mine as select 1",
    "create function mine() returns int language sql as 'select 1'",
    "create schema mine",
    "create role mine",
    "create database mine",
    "create extension pg_trgm",
    "drop table rooms",
    "truncate rooms",
    "alter table rooms add column mine int",
    "create index on rooms (id)",
    "create trigger mine after insert on rooms execute function make_history_day()",
    "reindex table rooms",
    f"set role {OWNER}",
    f"alter role {OWNER} password 'mine'",
    f"drop owned by {OWNER}",
    "copy rooms to program 'true'",
    "copy rooms from '/etc/passwd'",
    "select pg_read_file('postgresql.conf')",
    "select * from pg_authid",
    "alter system set fsync = off",
    "select pg_reload_conf()",
    "alter database postgres set jit = off",
    "set session_replication_role = replica",
    "insert into schema_versions (version) values (99)",
)


@pytest.fixture
async def prepared(postgres: PostgresServer, postgres_url: str) -> PostgresServer:
    """With a day of the history, and a user whom nobody has granted anything, but to connect."""
    await postgres.execute(
        f"do $$ begin if to_regrole('{STRANGER}') is null then create role {STRANGER}; end if; end $$",
        f"alter role {STRANGER} login password '{PASSWORD}'",
        f"grant connect on database postgres to {STRANGER}",
        f"select make_history_day({OVER})",
    )
    return postgres


@pytest.fixture
async def owner(prepared: PostgresServer) -> AsyncIterator[Owner]:
    store = open_store(prepared.url_of(RUNTIME))
    await store.start()
    yield await Owner.of(store)
    await store.stop()


def documented() -> dict[tuple[str, str], str]:
    """The table of docs/security.md: (table or function, role) → rights."""
    text = (ROOT / "docs" / "security.md").read_text()
    [table] = re.findall(r"<!-- rights: begin -->\n(.*?)<!-- rights: end -->", text, re.DOTALL)
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {(row[0].strip("`"), COLUMNS[head[at]]): row[at] for row in rows for at in range(1, len(head))}


async def test_every_role_may_do_what_the_documentation_says_and_nothing_else(prepared: PostgresServer) -> None:
    async with connected(prepared.url) as admin:
        everything = await objects(admin)
    found: dict[tuple[str, str], set[str]] = {}
    for role in (RUNTIME, READER, STRANGER):
        async with connected(prepared.url_of(role)) as connection:
            await connection.execute("set default_transaction_read_only = off")  # a default that protects nothing
            for name, columns in everything.items():
                found.setdefault((row_of(name), role), set()).add(await rights(connection, name, columns))
            temporary = await may(connection, "create temporary table mine ()")
            found[TEMPORARY, role] = {"CREATE" if temporary else "-"}
    expected = {cell: {text} for cell, text in documented().items()}
    assert {name for name, _ in found} == {name for name, _ in expected}
    wrong = {cell: (found[cell], expected[cell]) for cell in expected if found[cell] != expected[cell]}
    assert wrong == {}, "found, documented"
    assert (DAY, RUNTIME) in found


async def test_everything_belongs_to_the_owner(prepared: PostgresServer) -> None:
    async with connected(prepared.url) as admin:
        owners = await admin.fetch(
            "select relowner::regrole::text from pg_class where relnamespace = 'public'::regnamespace union "
            "select proowner::regrole::text from pg_proc where pronamespace = 'public'::regnamespace union "
            "select nspowner::regrole::text from pg_namespace where nspname = 'public' union "
            "select datdba::regrole::text from pg_database where datname = current_database()"
        )
    assert [name for (name,) in owners] == [OWNER]


@pytest.mark.parametrize("statement", NOT_FOR_USERS)
async def test_no_user_changes_what_there_is(prepared: PostgresServer, statement: str) -> None:
    for role in (RUNTIME, READER):
        async with connected(prepared.url_of(role)) as connection:
            await connection.execute("set default_transaction_read_only = off")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_no_role_has_a_right_on_the_server_itself(prepared: PostgresServer) -> None:
    async with connected(prepared.url) as admin:
        roles = await admin.fetch(
            "select rolname::text from pg_roles where rolname = any($1) and (rolsuper or rolcreaterole or rolcreatedb "
            "or rolreplication or rolbypassrls or exists (select from pg_auth_members where member = pg_roles.oid))",
            [OWNER, RUNTIME, READER],
        )
    assert roles == []


@pytest.mark.parametrize("role", [OWNER, RUNTIME, READER, STRANGER])
async def test_the_other_databases_of_the_server_are_closed(prepared: PostgresServer, role: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await asyncpg.connect(prepared.url_of(role), database="template1")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (f"make_history_day({COMING + 1_000_000})", "is not between 1970 and 9999"),
        ("make_history_day(-1)", "is not between 1970 and 9999"),
        ("make_history_day(null)", "is not between 1970 and 9999"),
        (f"drop_history_day({COMING})", "is not over"),
        ("drop_history_day((extract(epoch from now()) / 86400 - 0.5)::integer)", "is not over"),
        ("drop_history_day(null)", "is not over"),
        (f"drop_history_day({OVER + 1})", "has no partition"),
    ],
)
async def test_the_functions_refuse_what_is_no_day_to_make_or_drop(
    prepared: PostgresServer, call: str, why: str
) -> None:
    async with connected(prepared.url_of(RUNTIME)) as connection:
        with pytest.raises(asyncpg.InvalidParameterValueError, match=why):
            await connection.execute(f"select {call}")


async def test_a_table_that_is_no_day_cannot_be_dropped_as_one(prepared: PostgresServer) -> None:
    await prepared.execute("create table history_20130101 ()")
    async with connected(prepared.url_of(RUNTIME)) as connection:
        with pytest.raises(asyncpg.InvalidParameterValueError, match="has no partition"):
            await connection.execute("select drop_history_day(date '2013-01-01' - date '1970-01-01')")


async def test_the_functions_are_not_misled_by_what_a_caller_made(prepared: PostgresServer) -> None:
    async with connected(prepared.url_of(RUNTIME)) as connection:
        await connection.execute(
            "create temporary table history (mine int); create temporary table history_rest (mine int);"
            "create function pg_temp.to_char(date, text) returns text language sql as $$ select 'mine' $$;"
            "create function pg_temp.format(text, text) returns text language sql as $$ select 'select mine' $$;"
            "set search_path = pg_temp, public"
        )
        await connection.execute(f"select public.make_history_day({OVER + 1})")
        await connection.execute(f"select public.drop_history_day({OVER})")
    async with connected(prepared.url) as admin:
        days = await admin.fetch(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'public.history'::regclass"
        )
    assert {name for (name,) in days} == {"history_rest", "history_20131023"}


async def test_a_reader_sees_readings_by_name_and_is_stopped_in_time(prepared: PostgresServer, owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", 1, 1.5), Reading("d", "n", 1, 2)])
    async with connected(prepared.url_of(READER)) as connection:
        rows = await connection.fetch(
            "select d.id, m.name, r.time_us, coalesce(r.number, r.whole) from readings r "
            "join devices d on d.key = r.device join metrics m on m.key = r.metric order by 2"
        )
        assert [tuple(row) for row in rows] == [("d", "m", 1, 1.5), ("d", "n", 1, 2.0)]
        assert await connection.fetchval("show statement_timeout") == "1min"
        assert await connection.fetchval("show idle_in_transaction_session_timeout") == "1min"
        assert await connection.fetchval("show default_transaction_read_only") == "on"


async def test_readers_that_take_all_their_connections_leave_the_others_theirs(prepared: PostgresServer) -> None:
    async with AsyncExitStack() as opened:
        for _ in range(10):
            await opened.enter_async_context(connected(prepared.url_of(READER)))
        with pytest.raises(asyncpg.TooManyConnectionsError, match=f'role "{READER}"'):
            await asyncpg.connect(prepared.url_of(READER))
        async with connected(prepared.url_of(RUNTIME)) as connection:
            assert await connection.fetchval("select count(*) from partitions") == 0
