"""The roles of Postgres: who makes them, what changes with them, and installations that had none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from chart_harness.loopback import free_port
from iot_system.adapters.postgres import schema
from iot_system.adapters.stores import migrate_store, open_store
from iot_system.domain.addresses import Address
from iot_system.domain.history import HistoryQuery, Reading
from iot_system.errors import InvalidSetting, Unavailable
from iot_system.settings import DatabaseRoleSettings
from structlog.testing import capture_logs

from tests.contract.store.owner import Owner
from tests.contract.store.rights import connected
from tests.harness.postgres import OWNER, PASSWORD, PASSWORD_IN_URL, READER, RUNTIME, PostgresServer

DAY_US = 86_400_000_000
NOW_US = 1_795_600_000_000_000
OLD_DAY = 16_000
"""In 2013."""
SUPERUSER = "iot"


@pytest.fixture
async def external(postgres: PostgresServer) -> AsyncIterator[str]:
    """The URL of a database of its own that `ext_owner` owns, who may make roles and is no superuser."""
    await postgres.execute(
        f"create role ext_owner login createrole password '{PASSWORD}'", "create database ext owner ext_owner"
    )
    yield _in_database(postgres.url_of("ext_owner"))
    await postgres.execute(
        "drop database ext with (force)",
        *(f"drop role if exists {role}" for role in ("ext_runtime", "ext_reader", "ext_owner")),
    )


def _in_database(url: str, name: str = "ext") -> str:
    return f"{url.rpartition('/')[0]}/{name}"


async def use(url: str) -> list[Reading]:
    """Everything that needs rights of its own: a reading of an old day, retention, deletion, and repeated readings."""
    store = open_store(url)
    await store.start()
    try:
        owner = await Owner.of(store)
        for id_ in "de":
            await owner.register(id_)
        old = Reading("d", "m", OLD_DAY * DAY_US, 1.0)
        await owner.commit([old, Reading("d", "m", NOW_US, 2.0), Reading("e", "m", NOW_US, 3.0)])
        await owner.commit([old, Reading("d", "n", NOW_US, 4.0)])
        await owner.remove(Address("device", "e"))
        await store.maintain(now_us=NOW_US, retention_days=1)
        return (await store.readings(HistoryQuery(device="d"))).items
    finally:
        await store.stop()


KEPT = [Reading("d", "m", NOW_US, 2.0), Reading("d", "n", NOW_US, 4.0)]


async def as_before_there_were_roles(postgres: PostgresServer) -> None:
    """What an older version leaves: all of it is the administrator's, a day of the history, too."""
    await postgres.clear()
    for one in schema.migrations()[:3]:
        await postgres.execute(one.statements, f"insert into schema_versions (version) values ({one.version})")
    first, end = OLD_DAY * DAY_US, (OLD_DAY + 1) * DAY_US
    await postgres.execute(
        "create table history_20131022 (like history including all)",
        f"alter table history attach partition history_20131022 for values from ({first}) to ({end})",
        f"insert into history (device, metric, time_us, number) values (7, 7, {first}, 7.0)",
    )


async def test_an_installation_without_roles_goes_on_with_its_administrator_until_it_has_another_url(
    postgres: PostgresServer,
) -> None:
    await as_before_there_were_roles(postgres)
    with capture_logs() as logs:
        await migrate_store(postgres.url, roles=postgres.roles)
    assert [one["role"] for one in logs if one["log_level"] == "warning"] == [SUPERUSER]
    assert await _owners(postgres) == {OWNER}
    async with connected(postgres.url) as admin:
        await admin.execute("insert into rooms values ('as-before', '')")  # the older pods, which are still there
        assert await admin.fetchval("select number from history where device = 7") == 7.0
    assert await use(await postgres.migrate()) == KEPT


async def test_a_table_that_somebody_holds_is_handed_over_later(postgres: PostgresServer) -> None:
    """Whoever uses it waits for a moment only, behind a migration that waits."""
    await as_before_there_were_roles(postgres)
    async with connected(postgres.url) as holder:
        await holder.execute("begin; select * from rooms")
        with pytest.raises(Unavailable, match="lock timeout"):
            await postgres.migrate()
    assert await use(await postgres.migrate()) == KEPT
    assert await _owners(postgres) == {OWNER}


async def test_a_new_installation_and_its_store_work_as_the_administrator_too(postgres: PostgresServer) -> None:
    await postgres.clear()
    await migrate_store(postgres.url, roles=postgres.roles)
    assert await use(postgres.url) == KEPT


async def test_one_url_does_everything_where_there_is_no_other(postgres: PostgresServer) -> None:
    await postgres.clear()
    await migrate_store(postgres.url)
    assert await use(postgres.url) == KEPT
    assert await _owners(postgres) == {SUPERUSER}


async def test_a_day_that_an_older_version_made_meanwhile_goes_like_the_others(postgres: PostgresServer) -> None:
    await as_before_there_were_roles(postgres)
    url = await postgres.migrate()
    await postgres.execute(f"alter table history_20131022 owner to {SUPERUSER}")
    assert await use(url) == KEPT
    async with connected(postgres.url) as admin:
        assert await admin.fetchval("select to_regclass('history_20131022')") is None


async def test_a_new_password_counts_after_the_next_migration_and_open_connections_stay(
    postgres: PostgresServer, postgres_url: str
) -> None:
    new = postgres_url.replace(PASSWORD_IN_URL, "n%C3%A9w%27s")
    async with connected(postgres_url) as opened:
        await migrate_store(new, roles=postgres.roles)
        assert await opened.fetchval("select count(*) from partitions") == 0
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres_url)
    assert await use(new) == KEPT


async def test_the_owners_password_is_set_by_the_administrator(postgres: PostgresServer, postgres_url: str) -> None:
    roles = postgres.roles
    new = DatabaseRoleSettings(
        owner_url=postgres.url_of(OWNER).replace(PASSWORD_IN_URL, "another"),
        admin_user=roles.admin_user,
        admin_password=roles.admin_password,
    )
    await migrate_store(postgres_url, roles=new)
    with pytest.raises(Unavailable, match="password authentication failed"):
        await migrate_store(postgres_url, roles=DatabaseRoleSettings(owner_url=roles.owner_url))


async def test_an_owner_that_is_no_superuser_makes_the_roles_of_its_own_database(
    postgres: PostgresServer, external: str
) -> None:
    url, reader = (_in_database(postgres.url_of(name)) for name in ("ext_runtime", "ext_reader"))
    roles = DatabaseRoleSettings(owner_url=external, reader_url=reader)
    for _ in range(2):
        await migrate_store(url, roles=roles)
    assert await use(url) == KEPT
    async with connected(reader) as connection:
        assert await connection.fetchval("select count(*) from readings") == 2
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval("select count(*) from api_tokens")


async def test_roles_that_the_owner_may_not_make_are_granted_to_where_they_exist(
    postgres: PostgresServer, external: str
) -> None:
    await postgres.execute(
        "alter role ext_owner nocreaterole", f"create role ext_runtime login password '{PASSWORD}' connection limit 7"
    )
    url = _in_database(postgres.url_of("ext_runtime"))
    with capture_logs() as logs:
        await migrate_store(url, roles=DatabaseRoleSettings(owner_url=external))
    (told,) = [one for one in logs if one["event"] == "a role stays as it is"]
    assert (told["role"], told["reason"]) == ("ext_runtime", "ext_owner may not change it")
    assert await use(url) == KEPT
    async with connected(postgres.url) as admin:
        assert await admin.fetchval("select rolconnlimit from pg_roles where rolname = 'ext_runtime'") == 7
    assert "ALTER ROLE" in postgres.log.upper()
    assert PASSWORD not in postgres.log


async def test_a_role_that_is_missing_and_cannot_be_made_is_told_in_one_sentence(
    postgres: PostgresServer, external: str
) -> None:
    await postgres.execute("alter role ext_owner nocreaterole")
    url = _in_database(postgres.url_of("ext_runtime"))
    with pytest.raises(InvalidSetting) as told:
        await migrate_store(url, roles=DatabaseRoleSettings(owner_url=external))
    assert str(told.value) == (
        "the role 'ext_runtime' does not exist, and 'ext_owner' may not make it: make it, or let 'ext_owner' make "
        "roles (CREATEROLE)"
    )


async def test_roles_are_made_by_whichever_of_several_servers_is_primary(postgres: PostgresServer) -> None:
    """As with a replicated database; one of them is away."""

    def several(user: str) -> str:
        url = postgres.url_of(user).replace("@127.0.0.1:", f"@127.0.0.1:{free_port()},127.0.0.1:")
        return f"{url}?target_session_attrs=read-write"

    await postgres.clear()
    roles = DatabaseRoleSettings(
        owner_url=several(OWNER), reader_url=several(READER), admin_user=SUPERUSER, admin_password=PASSWORD
    )
    await migrate_store(several(RUNTIME), roles=roles)
    assert await use(several(RUNTIME)) == KEPT


async def test_a_right_that_a_version_no_longer_gives_is_taken_back(
    postgres: PostgresServer, postgres_url: str
) -> None:
    await postgres.execute(
        f"grant truncate on rooms to {RUNTIME}",
        f"grant select (sha256) on credentials to {READER}",
        f"grant all on history_rest to {READER}",
    )
    await postgres.migrate()
    async with connected(postgres.url) as admin:
        for role, table, right in (
            (RUNTIME, "rooms", "truncate"),
            (READER, "credentials", "select"),
            (READER, "history_rest", "insert"),
        ):
            held = "select has_table_privilege($1, $2, $3) or ($3 = 'select' and has_any_column_privilege($1, $2, $3))"
            assert not await admin.fetchval(held, role, table, right), (role, table)


async def test_names_of_roles_may_be_any(postgres: PostgresServer, external: str) -> None:
    name, in_url = 'the "Runtime"; --', "the%20%22Runtime%22%3B%20--"
    url = _in_database(postgres.url_of(in_url))
    await migrate_store(url, roles=DatabaseRoleSettings(owner_url=external))
    assert await use(url) == KEPT
    quoted = '"' + name.replace('"', '""') + '"'
    await postgres.execute("drop database ext with (force)", "create database ext", f"drop role {quoted}")


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        ({"owner_url": "postgresql://u/d"}, "DATABASE_OWNER_URL has no user or no password: it is postgresql://USER:"),
        ({"owner_url": "postgresql://o:xyz/s@h/d"}, r"DATABASE_OWNER_URL is not postgresql://.*a slash is %2F"),
        ({"owner_url": "postgresql://o:p@h/d", "reader_url": "mysql://xyz"}, "DATABASE_READER_URL has no user"),
        ({"owner_url": "postgresql://r:p@h/d"}, "'r' is owner and runtime of the database at once: each has a user of"),
        (
            {"owner_url": "postgresql://o:p@h/d", "reader_url": "postgresql://o:p@h/d"},
            "'o' is owner and reader of the database at once",
        ),
    ],
)
async def test_urls_that_name_no_roles_are_refused_without_being_repeated(roles: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidSetting, match=why) as refused:
        await migrate_store("postgresql://r:p@h/d", roles=DatabaseRoleSettings(**roles))
    assert "xyz" not in str(refused.value)


async def test_a_store_without_the_functions_of_its_version_says_what_to_do(
    postgres: PostgresServer, postgres_url: str
) -> None:
    await postgres.execute("drop function drop_history_day(integer)")
    with pytest.raises(Unavailable, match="lacks functions of this version: run iot-system migrate"):
        await open_store(postgres_url).start()


async def _owners(postgres: PostgresServer) -> set[str]:
    async with connected(postgres.url) as admin:
        rows = await admin.fetch(
            "select relowner::regrole::text from pg_class where relnamespace = 'public'::regnamespace union "
            "select proowner::regrole::text from pg_proc where pronamespace = 'public'::regnamespace"
        )
    return {name for (name,) in rows}
