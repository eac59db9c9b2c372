"""Ray's processes by TLS: who has no certificate of their CA is no node, no driver, and nobody's head."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import ray
from chart_harness.loopback import free_port
from chart_harness.waiting import until
from iot_system.__main__ import _prepare_ray as prepare_ray
from iot_system.adapters.ray.encryption import encrypted
from iot_system.adapters.ray.machines import NODE_RESOURCE
from iot_system.adapters.ray.node import QUIET, Hosting, RayNode
from iot_system.adapters.tls.authority import contents, new_ca
from iot_system.errors import InvalidSetting
from iot_system.settings import RayHeadSettings, read_settings

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]
DEADLINE_S = 120.0
HEARD_S = 10.0
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
HOSTING = Hosting(1, "json")
SETTINGS = b"\x04"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + SETTINGS + bytes(5)
"""With it each gRPC connection begins, and its server answers with SETTINGS, too (RFC 9113, 3.4)."""
DRIVER = f"""
import json, sys, ray
ray.init(address=sys.argv[1], _node_ip_address=sys.argv[2], log_to_driver=False)
call = ray.remote(num_cpus=0, resources={{"{NODE_RESOURCE}": 0.001}})(lambda: 42).remote()
print(json.dumps(ray.get(call, timeout=60)))
"""
"""Needs the head, and a process of the node."""


class Files:
    """A CA of Ray, and what a node makes of it."""

    def __init__(self, folder: Path, name: str) -> None:
        ca = new_ca(name, datetime.now(UTC))
        self.folder = folder / name
        self.folder.mkdir()
        self.ca, self.ca_key = self.folder / "tls.crt", self.folder / "tls.key"
        self.ca.write_bytes(ca.certificate)
        self.ca_key.write_bytes(ca.key)

    def node(self, name: str, *hosts: str) -> dict[str, str]:
        """Variables of a node that is reached at ``hosts``."""
        folder = self.folder / name
        folder.mkdir()
        return encrypted(self.ca, self.ca_key, hosts, folder)


@pytest.fixture
def ours(tmp_path: Path) -> Files:
    return Files(tmp_path, "ours")


@pytest.fixture
def address() -> str:
    """Ray puts it in the place of 127.0.0.1."""
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


@asynccontextmanager
async def head(address: str, port: int, environment: dict[str, str]) -> AsyncIterator[RayNode]:
    leading = ("--head", f"--port={port}", f"--node-ip-address={address}", "--include-dashboard=false", "--num-cpus=0")
    node = RayNode(f"{address}:{port}", *leading, "--no-monitor", environment=QUIET | TOKEN | environment)
    await node.start()
    try:
        await until(lambda: reached(node), within_s=DEADLINE_S)
        yield node
    finally:
        await node.stop()


async def reached(node: RayNode) -> bool:
    return await node.why_not_reached() is None


async def is_answered(gcs: str, address: str, environment: dict[str, str]) -> bool:
    """Whether a driver gets in, and its answer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DRIVER, gcs, address,
        env=os.environ | QUIET | TOKEN | environment, stdout=-1, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        said, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return process.returncode == 0 and json.loads(said) == 42


def heard(gcs: str, context: ssl.SSLContext | None) -> bytes:
    """What a server of gRPC says to a client that speaks it, or nothing."""
    host, _, port = gcs.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=HEARD_S) as plain:
        connection = context.wrap_socket(plain, server_hostname=host) if context else plain
        connection.sendall(PREFACE)
        return connection.recv(9)
    return b""


def context(trusted: Files, shown: dict[str, str] | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=trusted.ca)
    made.set_alpn_protocols(["h2"])
    if shown is not None:
        made.load_cert_chain(shown["RAY_TLS_SERVER_CERT"], shown["RAY_TLS_SERVER_KEY"])
    return made


async def test_the_head_answers_nobody_without_a_certificate_of_its_ca(
    ours: Files, address: str, tmp_path: Path
) -> None:
    others = Files(tmp_path, "others")
    stranger, member = others.node("stranger", address), ours.node("member", address)
    port = free_port()
    async with head(address, port, ours.node("head", address)) as running:
        gcs = running.gcs
        answered = {
            "member": await asyncio.to_thread(heard, gcs, context(ours, member)),
            "plain": await asyncio.to_thread(heard, gcs, None),
            "without": await asyncio.to_thread(heard, gcs, context(ours, None)),
            "stranger": await asyncio.to_thread(heard, gcs, context(ours, stranger)),
        }
        assert {who for who, said in answered.items() if SETTINGS in said[3:4]} == {"member"}, answered
        with pytest.raises(ssl.SSLCertVerificationError), socket.create_connection((address, port), HEARD_S) as plain:
            context(others, stranger).wrap_socket(plain, server_hostname=address)


async def test_a_node_joins_and_does_what_a_driver_asks(ours: Files, address: str) -> None:
    mine = ours.node("node", address)
    async with head(address, free_port(), ours.node("head", address)) as running:
        joining = (f"--address={running.gcs}", f"--node-ip-address={address}", *HOSTING.arguments)
        node = RayNode(running.gcs, *joining, environment=QUIET | TOKEN | HOSTING.environment | mine)
        await node.start()
        try:
            await until(lambda: is_answered(running.gcs, address, mine), within_s=DEADLINE_S)
        finally:
            await node.stop()


def test_a_node_is_known_by_its_address_and_by_the_heads_name(ours: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = ("RAY_AUTH_MODE", "RAY_gcs_rpc_server_reconnect_timeout_s", "RAY_USE_TLS", "RAY_TLS_CA_CERT")
    for name in (*changed, "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY"):
        monkeypatch.setenv(name, "")  # what it was comes back afterwards
    given = {"IOT_RAY_TLS_CA": str(ours.ca), "IOT_RAY_TLS_CA_KEY": str(ours.ca_key)}
    given |= {"ACTOR_SYSTEM_ADDRESS": "10.0.0.7", "IOT_RAY_ADDRESS": "ray-head:6379"}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    prepare_ray(read_settings(RayHeadSettings, given))
    assert (os.environ["RAY_USE_TLS"], os.environ["RAY_TLS_CA_CERT"]) == ("1", str(ours.ca))
    shown = contents(Path(os.environ["RAY_TLS_SERVER_CERT"]).read_bytes(), datetime.now(UTC))
    assert shown.hosts == {"10.0.0.7", "ray-head", "localhost", "127.0.0.1"}
    key = Path(os.environ["RAY_TLS_SERVER_KEY"])
    assert (key.stat().st_mode & 0o777, key.is_relative_to("/dev/shm")) == (0o600, True)


def test_files_that_are_no_ca_stop_the_start(ours: Files, tmp_path: Path) -> None:
    other = Files(tmp_path, "other")
    for ca, key in ((tmp_path / "missing", ours.ca_key), (ours.ca, other.ca_key), (ours.ca_key, ours.ca)):
        with pytest.raises(InvalidSetting, match="IOT_RAY_TLS_CA "):
            encrypted(ca, key, ["10.0.0.1"], tmp_path)
