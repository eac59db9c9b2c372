"""Connections to a real nats-server by TLS: who is trusted, and what changes with the files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from chart_harness.waiting import until
from iot_system.adapters.nats import connection
from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.adapters.nats.permissions import API
from iot_system.errors import InvalidSetting, Unavailable
from iot_system.settings import BrokerSettings, BrokerTlsSettings

from tests.harness.certificates import Authority, Signed, replace
from tests.harness.nats import PASSWORD, NatsServer, answers

DEADLINE_S = 20.0


def tls_of(shown: Signed, ca: str) -> str:
    return f'tls {{ cert_file: "{shown.certificate}", key_file: "{shown.key}", ca_file: "{ca}", verify: true }}'


@asynccontextmanager
async def running(folder: Path, settings: str) -> AsyncIterator[NatsServer]:
    server = NatsServer(folder, settings=settings).start()
    try:
        yield server
    finally:
        server.stop()


def settings(server: NatsServer, ca: str, shown: Signed | None, host: str = "127.0.0.1") -> BrokerSettings:
    files = (shown.certificate, shown.key) if shown else (None, None)
    tls = BrokerTlsSettings(ca=ca, certificate=files[0], key=files[1])
    return BrokerSettings(urls=f"tls://{host}:{server.port}", user=API, password=PASSWORD, tls=tls)


async def test_both_sides_show_what_the_other_trusts(ours: Authority, tmp_path: Path) -> None:
    async with running(tmp_path, tls_of(ours.server(), ours.ca)) as server:
        client = await connect(settings(server, ours.ca, ours.client("api")), name="test")
        assert await answers(client)
        await disconnect(client)


@pytest.mark.usefixtures("impatient")
async def test_a_server_of_another_ca_or_name_is_not_spoken_to(
    ours: Authority, other: Authority, tmp_path: Path
) -> None:
    async with running(tmp_path, tls_of(ours.server(hosts=["localhost"]), ours.ca)) as server:
        shown = ours.client("api")
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await connect(settings(server, other.ca, shown, "localhost"), name="test")
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await connect(settings(server, ours.ca, shown, "127.0.0.1"), name="test")
        client = await connect(settings(server, ours.ca, shown, "localhost"), name="test")
        await disconnect(client)


@pytest.mark.usefixtures("impatient")
async def test_a_client_without_a_certificate_or_with_another_s_is_refused(
    ours: Authority, other: Authority, tmp_path: Path
) -> None:
    async with running(tmp_path, tls_of(ours.server(), ours.ca)) as server:
        for shown in (None, other.client("api")):
            with pytest.raises(Unavailable):
                await connect(settings(server, ours.ca, shown), name="test")


async def test_who_is_refused_is_told_so_whatever_the_client_does_as_time_runs_out(
    ours: Authority, other: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-py may take the end of a step for that of the time it was given, and begin again."""
    monkeypatch.setattr(connection, "FIRST_CONNECTION_TIMEOUT_S", 0.3)
    async with running(tmp_path, tls_of(ours.server(), ours.ca)) as server:
        refused = settings(server, ours.ca, other.client("api"))
        async with asyncio.timeout(3 * DEADLINE_S):
            outcomes = await asyncio.gather(*(connect(refused, name="test") for _ in range(40)), return_exceptions=True)
        assert {type(one) for one in outcomes} == {Unavailable}


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_offers_no_tls_is_told_no_password(ours: Authority, tmp_path: Path) -> None:
    async with running(tmp_path, "") as server:
        with pytest.raises(Unavailable, match="it offers no TLS"):
            await connect(settings(server, ours.ca, None), name="test")
        await disconnect(await connect(server.settings(API), name="test"))


@pytest.mark.usefixtures("impatient")
async def test_a_client_comes_back_with_the_certificates_of_that_moment(
    ours: Authority, other: Authority, tmp_path: Path
) -> None:
    """Everything is signed anew by another CA, as it is after a leak; the client's process goes on."""
    at_server, at_client = ours.server(), ours.client("api")
    ca_of_server, ca_of_client = str(tmp_path / "server.ca"), str(tmp_path / "client.ca")
    for path in (ca_of_server, ca_of_client):
        replace(path, ours.ca)
    async with running(tmp_path, tls_of(at_server, ca_of_server)) as server:
        client = await connect(settings(server, ca_of_client, at_client), name="test")
        at_server.replace_with(other.server())
        at_client.replace_with(other.client("api"))
        for path in (ca_of_server, ca_of_client):
            replace(path, other.ca)
        assert await answers(client)
        server.kill()
        server.start()
        await until(lambda: answers(client), within_s=DEADLINE_S)
        with pytest.raises(Unavailable):
            await connect(settings(server, ours.ca, ours.client("api")), name="old")
        await disconnect(client)


async def test_who_has_a_server_that_stands_still_soon_has_another(ours: Authority, tmp_path: Path) -> None:
    """By TLS, where whoever says farewell waits for the answer."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    tls, shown = tls_of(ours.server(), ours.ca), ours.client("api")
    async with running(folders[0], tls) as first, running(folders[1], tls) as second:
        both = settings(first, ours.ca, shown)
        both = msgspec.structs.replace(both, urls=f"{both.urls},tls://127.0.0.1:{second.port}")
        client = await connect(both, name="test")
        its_own = first if str(first.port) in str(client.connected_url) else second
        with its_own.standing_still():
            await until(lambda: answers(client), within_s=DEADLINE_S)
        await disconnect(client)


async def test_files_that_do_not_fit_stop_the_start(ours: Authority, tmp_path: Path) -> None:
    shown = msgspec.structs.replace(ours.client("api"), key=ours.client("api").key)
    async with running(tmp_path, "") as server:
        with pytest.raises(InvalidSetting, match=r"NATS_TLS_KEY .* is not the key of NATS_TLS_CERTIFICATE"):
            await connect(settings(server, ours.ca, shown), name="test")
