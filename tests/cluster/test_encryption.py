"""values/testing.yaml encrypts all connections: who speaks plain text is not answered at any port that carries data."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct

import pytest

from tests.harness.installation import HOST, Installation

WAIT_S = 3.0
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""The beginning of a gRPC connection: its preface, and an empty SETTINGS frame (RFC 9113, 3.4)."""
SETTINGS = b"\x04"
NATS = b'CONNECT {"verbose":true,"user":"api","pass":"x"}\r\nPING\r\n'
MQTT_CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01a"
POSTGRES = b"user\0iot\0database\0iot\0\0"
SAID = {
    ("api", 8000): (b"GET /health HTTP/1.1\r\nHost: api-service\r\n\r\n", b"HTTP/1.1 200"),
    ("api", 8883): (MQTT_CONNECT, b"\x20\x02"),
    ("nats", 4222): (NATS, b"Authorization Violation"),
    ("nats", 6222): (NATS, b"Authorization Violation"),
    ("postgres", 5432): (struct.pack("!ii", len(POSTGRES) + 8, 3 << 16) + POSTGRES, b"SCRAM-SHA-256"),
    ("postgres", 8008): (b"GET /liveness HTTP/1.0\r\n\r\n", b"200 OK"),
    ("ray-head", 6379): (HTTP2, SETTINGS),
    ("actor-system", 10101): (HTTP2, SETTINGS),
    ("actor-system", 10102): (HTTP2, SETTINGS),
}
"""(component, port) → what a client says in plain text, and what it would hear from a server that understands it."""
FIRST = {("nats", 4222): (b"", b"\r\n"), ("postgres", 5432): (struct.pack("!ii", 8, 80877103), b"S")}
"""What comes before TLS: NATS tells of itself, and Postgres is asked whether it agrees (SSLRequest)."""


def answer(port: int, said: bytes) -> bytes:
    """Everything that comes until the connection ends, or nothing more comes."""
    heard = b""
    with socket.create_connection((HOST, port), timeout=WAIT_S) as connection, contextlib.suppress(OSError):
        connection.sendall(said)
        while piece := connection.recv(4096):
            heard += piece
    return heard


def local(testing: Installation, component: str, port: int) -> int:
    """The port of this machine that leads there."""
    ports = [number for name, number in SAID if name == component]
    way = testing.forward(component, *ports) if component != "api" else testing.api
    return way.local(port)


@pytest.mark.parametrize(("component", "port"), SAID, ids=lambda one: str(one))
def test_who_speaks_plain_text_is_not_understood(testing: Installation, component: str, port: int) -> None:
    said, understood = SAID[component, port]
    assert understood not in answer(local(testing, component, port), said)


@pytest.mark.parametrize(("component", "port"), SAID, ids=lambda one: str(one))
def test_the_same_port_is_open_all_the_same_for_who_speaks_tls(
    testing: Installation, component: str, port: int
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    asked, agreed = FIRST.get((component, port), (b"", b""))
    with socket.create_connection((HOST, local(testing, component, port)), timeout=WAIT_S) as connection:
        connection.sendall(asked)
        heard = b""
        while not heard.endswith(agreed):
            piece = connection.recv(4096)
            assert piece, f"it has ended after {heard!r}"
            heard += piece
        with context.wrap_socket(connection) as encrypted:
            # Where a certificate is required, the server says so after this.
            assert encrypted.version() == "TLSv1.3"


def test_a_client_with_another_ca_trusts_nobody_here(testing: Installation) -> None:
    with (
        socket.create_connection((HOST, testing.api.local(8000)), timeout=WAIT_S) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(connection, server_hostname=HOST)
