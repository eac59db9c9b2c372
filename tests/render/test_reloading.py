"""How a server is told that its certificates have changed: the chart's command, with a real nats-server behind it."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.certificates import Authority, Signed, mount
from tests.harness.nats import free_port
from tests.harness.waiting import wait_until
from tests.render.rendered import TESTING, Installation

DEADLINE_S = 30.0
INSTEAD = {"/etc/iot-system/tls": "{folder}", "sleep 5": "sleep 0.1", "kill -HUP 1": "kill -HUP $$"}
"""Here the server is no container's first process, and nobody waits for 5 s."""


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def first(tmp_path: Path, ours: Authority) -> Signed:
    """The certificate in the mounted secret, which is ``tmp_path``."""
    made = ours.server()
    mount(tmp_path, made, ours.ca)
    return made


@pytest.fixture
def port(tmp_path: Path, nats_server: str, first: Signed) -> Iterator[int]:
    """Of a server that was started with it."""
    installation = Installation("testing", (TESTING,))
    *shell, script, name = installation.container("nats").spec["command"]
    for written, instead in INSTEAD.items():
        assert written in script
        script = script.replace(written, instead.format(folder=tmp_path))
    rendered = installation.one("ConfigMap", "nats-config")["data"]["nats.conf"]
    [tls, *_] = re.findall(r"^tls {.*?^}", rendered, re.MULTILINE | re.DOTALL)
    port, config = free_port(), tmp_path / "nats.conf"
    config.write_text(f"listen: 127.0.0.1:{port}\n{tls.replace('/etc/iot-system/tls', str(tmp_path))}\n")
    command = [*shell, script, name, nats_server, "-c", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as server:
        yield port
        os.killpg(server.pid, signal.SIGKILL)


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


def test_a_server_shows_its_new_certificate_without_a_restart(
    tmp_path: Path, ours: Authority, first: Signed, port: int
) -> None:
    wait_until(lambda: shown(port) == der(first.certificate), within_s=DEADLINE_S, why="the first is not shown")
    second = ours.server()
    mount(tmp_path, second, ours.ca)
    wait_until(lambda: shown(port) == der(second.certificate), within_s=DEADLINE_S, why="the second is not shown")
