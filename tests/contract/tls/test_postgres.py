"""Connections to a real Postgres by TLS: who is trusted, and what changes with the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from chart_harness.waiting import until
from iot_system.adapters.postgres.database import Database
from iot_system.errors import InvalidSetting, Unavailable
from iot_system.settings import DatabaseTlsSettings

from ci import packages
from tests.harness.certificates import Authority, Signed, replace
from tests.harness.postgres import USER, Encrypted, PostgresServer, running_postgres

DEADLINE_S = 20.0
HBA = f"""hostssl all {USER} 127.0.0.1/32 scram-sha-256 clientcert=verify-full
hostnossl all all 127.0.0.1/32 reject
"""
OPTIONS = {
    "ssl": "on",
    "ssl_cert_file": "{folder}/server.pem",
    "ssl_key_file": "{folder}/server.key",
    "ssl_ca_file": "{folder}/ca.pem",
    "hba_file": "{folder}/hba.conf",
}


def files_of(shown: Signed, ca: str) -> dict[str, str]:
    return {"server.pem": shown.certificate, "server.key": shown.key, "ca.pem": ca}


@pytest.fixture
def server(ours: Authority, tmp_path: Path) -> Iterator[PostgresServer]:
    """Lets nobody in without TLS and a certificate of its user."""
    binaries = packages.postgres()
    if binaries is None:
        pytest.skip("Debian's Postgres is not installed, and the embedded one is built without TLS")
    hba = tmp_path / "hba.conf"
    hba.write_text(HBA)
    encrypted = Encrypted(
        binaries=binaries,
        files=files_of(ours.server(), ours.ca) | {"hba.conf": str(hba)},
        options=OPTIONS,
        probe=ours.context(ours.client(USER)),
    )
    with running_postgres(encrypted=encrypted) as running:
        yield running


def tls(ca: str, shown: Signed | None) -> DatabaseTlsSettings:
    return DatabaseTlsSettings(
        ca=ca, certificate=shown.certificate if shown else None, key=shown.key if shown else None
    )


async def is_encrypted(database: Database) -> bool:
    async with database.session() as connection:
        return bool(await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))


async def test_both_sides_show_what_the_other_trusts(server: PostgresServer, ours: Authority) -> None:
    database = Database(server.url, tls(ours.ca, ours.client(USER)))
    await database.start()
    assert await is_encrypted(database)
    await database.stop()


async def test_the_url_cannot_switch_it_off(server: PostgresServer, ours: Authority) -> None:
    database = Database(f"{server.url}?sslmode=disable", tls(ours.ca, ours.client(USER)))
    await database.start()
    assert await is_encrypted(database)
    await database.stop()


async def test_bad_servers_and_clients_are_refused(server: PostgresServer, ours: Authority, other: Authority) -> None:
    good = ours.client(USER)
    for files in (
        tls(other.ca, good),  # a server that we do not know
        tls(ours.ca, None),
        tls(ours.ca, other.client(USER)),
        tls(ours.ca, ours.client("somebody-else")),
    ):
        with pytest.raises(Unavailable, match="does not answer"):
            await Database(server.url, files).start()
    with pytest.raises(Unavailable):
        await Database(server.url).start()


async def test_a_server_of_another_name_is_not_spoken_to(server: PostgresServer, ours: Authority) -> None:
    server.give(files_of(ours.server(hosts=["elsewhere"]), ours.ca))
    await server.reload()

    async def is_refused() -> bool:
        database = Database(server.url, tls(ours.ca, ours.client(USER)))
        try:
            await database.start()
        except Unavailable as error:
            return "certificate" in str(error)
        await database.stop()
        return False

    await until(is_refused, within_s=DEADLINE_S)


async def test_new_connections_have_the_new_certificates_and_open_ones_stay(
    server: PostgresServer, ours: Authority, other: Authority, tmp_path: Path
) -> None:
    at_client, ca = ours.client(USER), str(tmp_path / "client.ca")
    replace(ca, ours.ca)
    database = Database(server.url, tls(ca, at_client))
    await database.start()
    async with database.session() as opened:
        server.give(files_of(other.server(), other.ca))
        await server.reload()
        at_client.replace_with(other.client(USER))
        replace(ca, other.ca)

        async def is_in() -> bool:
            try:
                return await is_encrypted(database)
            except Unavailable:
                return False

        await until(is_in, within_s=DEADLINE_S)
        assert await opened.fetchval("select 1") == 1
    await database.stop()
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await asyncpg.connect(server.url, ssl=ours.context(ours.client(USER)))


def test_files_that_cannot_be_used_stop_the_start(ours: Authority, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="DATABASE_TLS_CA"):
        Database("postgresql://u:p@h/d", DatabaseTlsSettings(ca=str(tmp_path / "missing")))
