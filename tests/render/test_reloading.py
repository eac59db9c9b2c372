"""How a server is told that its files have changed: the chart's command, with a real nats-server behind it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import nats
import nats.errors
import pytest
from chart_harness.waiting import until, wait_until
from nats.aio.client import Client

from tests.harness.certificates import Authority, Signed
from tests.render.nats_pod import SECRETS, NatsPod
from tests.render.rendered import TESTING, Installation

DEADLINE_S = 30.0
ALONE = {"nats.replicas": 1, "global.stream.replicas": 1}
ENCRYPTED = Installation("alone", (TESTING,), ALONE)
UNENCRYPTED = Installation("alone", (TESTING,), {**ALONE, "global.tls.mode": "off"})


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def first(ours: Authority) -> Signed:
    """The certificate that the server has when it starts."""
    return ours.server()


@pytest.fixture
def pod(tmp_path: Path, nats_server: str, ours: Authority, first: Signed) -> Iterator[NatsPod]:
    """A server by itself, as the chart runs it."""
    pod = NatsPod(tmp_path, ENCRYPTED, nats_server, first, ours.ca)
    with pod.running():
        yield pod


def shown(port: int) -> bytes | None:
    """The certificate that the server shows, or nothing while it is not there."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.recv(4096)  # INFO, after which NATS begins with TLS
            with context.wrap_socket(connection) as encrypted:
                return encrypted.getpeercert(binary_form=True)
    except OSError:
        return None


def der(path: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(Path(path).read_text())


def test_a_server_shows_its_new_certificate_without_a_restart(ours: Authority, first: Signed, pod: NatsPod) -> None:
    wait_until(lambda: shown(pod.port) == der(first.certificate), within_s=DEADLINE_S, why="the first is not shown")
    second = ours.server()
    pod.mount(second, ours.ca)
    wait_until(lambda: shown(pod.port) == der(second.certificate), within_s=DEADLINE_S, why="the second is not shown")


async def test_a_server_knows_new_passwords_without_a_restart_and_sends_away_who_came_with_an_old_one(
    ours: Authority, pod: NatsPod
) -> None:
    context = ours.context(ours.client("api"))
    old, new = SECRETS["NATS_API_PASSWORD"], "another"

    async def connect(user: str, password: str) -> Client | None:
        try:
            return await nats.connect(
                f"tls://localhost:{pod.port}", user=user, password=password, tls=context, allow_reconnect=False
            )
        except (OSError, nats.errors.Error, nats.errors.NoServersError):
            return None

    client = await until(lambda: connect("api", old), within_s=DEADLINE_S, why="the server does not take the first")
    assert client is not None
    pod.give({"NATS_API_PASSWORD": new})
    await until(lambda: client.is_closed, within_s=DEADLINE_S, why="who came with the old one is still connected")
    assert await connect("api", old) is None
    for user, password in (("api", new), ("actor-system", SECRETS["NATS_ACTOR_SYSTEM_PASSWORD"])):
        again = await connect(user, password)
        assert again is not None, user
        await again.close()


async def test_a_server_begins_and_ends_to_encrypt_without_a_restart_and_keeps_who_is_connected(
    tmp_path: Path, nats_server: str, ours: Authority, first: Signed
) -> None:
    pod = NatsPod(tmp_path, UNENCRYPTED, nats_server, first, ours.ca)
    given = {"user": "api", "password": SECRETS["NATS_API_PASSWORD"], "allow_reconnect": False}

    async def connect() -> Client | None:
        try:
            return await nats.connect(f"nats://localhost:{pod.port}", **given)
        except (OSError, nats.errors.Error, nats.errors.NoServersError):
            return None

    with pod.running():
        before = await until(connect, within_s=DEADLINE_S, why="the server does not take who speaks plain text")
        assert before is not None
        assert shown(pod.port) is None
        pod.configure(ENCRYPTED)
        wait_until(lambda: shown(pod.port) == der(first.certificate), within_s=DEADLINE_S, why="it does not encrypt")
        assert await connect() is None
        await before.flush()
        pod.configure(UNENCRYPTED)
        after = await until(connect, within_s=DEADLINE_S, why="it goes on to encrypt")
        assert after is not None
        await before.flush()
        for client in (before, after):
            await client.close()
