"""Every server of an installation, asked whether it lets somebody in who shows this or says that.

Each answer is a list, one for a server: True, False where the server itself has refused, None where it was not heard.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import asyncpg
import httpx
from iot_system.adapters.ray.encryption import encrypted
from iot_system.adapters.tls.authority import Identity

from tests.harness.installation import HOST, HTTP, MQTTS, Installation

Answers = list[bool | None]
WAIT_S = 5.0
RAY_WAIT_S = 120.0
NATS, POSTGRES, RAY = 4222, 5432, 6379
PORTS = {"api": (HTTP, MQTTS), "nats": (NATS,), "postgres": (POSTGRES,), "ray-head": (RAY,)}
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
REFUSED = b"Authorization Violation"
UNAUTHENTICATED = ("Unauthenticated", "AuthenticationError")
SETTINGS = b"\x04"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + SETTINGS + bytes(5)
"""With it each gRPC connection begins, and its server answers with SETTINGS, too (RFC 9113, 3.4)."""
GCS = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None)
"""
"""Asks Ray's head for something."""


class Doors:
    """``folder`` is for keys, which OpenSSL reads from files alone; ``trusted`` (PEM) are the CAs of the servers.

    ``shown`` is the certificate of who tries a password.
    """

    def __init__(self, installation: Installation, folder: Path, trusted: str, shown: Identity) -> None:
        self.trusted = trusted
        self.shown = shown
        self._installation = installation
        self._folder = folder
        self._count = 0

    def rest(self, token: str) -> Answers:
        """By HTTPS, at each API pod."""

        def ask(port: int) -> bool | None:
            answer = httpx.get(
                f"https://{HOST}:{port}/v1/tokens",
                headers={"Authorization": f"Bearer {token}"},
                verify=self._context(None),
                timeout=WAIT_S,
                trust_env=False,
            )
            return {200: True, 401: False}.get(answer.status_code)

        return self._each("api", HTTP, ask)

    def mqtt(self, user: str, token: str) -> Answers:
        """By MQTT 3.1.1, at each API pod."""
        payload = b"".join(len(one).to_bytes(2, "big") + one.encode() for one in ("rotation", user, token))
        body = b"\x00\x04MQTT\x04\xc2\x00\x0a" + payload
        assert len(body) < 128, "its length must be one byte"

        def ask(port: int) -> bool | None:
            with socket.create_connection((HOST, port), timeout=WAIT_S) as plain:
                connection = self._context(None).wrap_socket(plain, server_hostname=HOST)
                connection.sendall(bytes((0x10, len(body))) + body)
                return {0: True, 4: False, 5: False}.get(connection.recv(4)[3])

        return self._each("api", MQTTS, ask)

    def nats(self, user: str, password: str, shown: Identity | None = None) -> Answers:
        """At each NATS server."""
        said = {"user": user, "pass": password, "verbose": False, "protocol": 1, "tls_required": True}

        def ask(port: int) -> bool | None:
            with self._nats(port, shown or self.shown) as connection:
                connection.sendall(f"CONNECT {json.dumps(said)}\r\nPING\r\n".encode())
                heard = b""
                while piece := connection.recv(4096):
                    heard += piece
                    if b"PONG" in heard or REFUSED in heard:
                        return b"PONG" in heard
                return None

        return self._each("nats", NATS, ask)

    def sql(self, user: str, password: str) -> Answers:
        """At each database server: whether it takes the password, whatever the user may do then."""

        async def log_in(port: int) -> bool:
            try:
                connection = await asyncpg.connect(
                    host=HOST,
                    port=port,
                    user=user,
                    password=password,
                    database="iot",
                    ssl=self._context(self.shown),
                    timeout=WAIT_S,
                )
            except asyncpg.InvalidPasswordError:
                return False
            except asyncpg.InsufficientPrivilegeError:
                return True
            await connection.close()
            return True

        return self._each("postgres", POSTGRES, lambda port: asyncio.run(log_in(port)))

    def certificate(self, shown: Identity, nats_password: str) -> Answers:
        """At each NATS and each database server: whether it goes on with who shows this."""

        def ask(port: int) -> bool | None:
            startup = b"user\0iot\0database\0iot\0\0"
            with self._postgres(port, shown) as connection:
                connection.sendall(struct.pack("!ii", len(startup) + 8, 3 << 16) + startup)
                return connection.recv(1) == b"R" or None

        return self.nats("api", nats_password, shown) + self._each("postgres", POSTGRES, ask)

    def shown_by(self, component: str) -> list[bytes | None]:
        """The certificates (DER) that servers of api, nats or postgres show."""
        found: list[bytes | None] = []

        def ask(port: int) -> bool:
            ways = {"nats": self._nats, "postgres": self._postgres, "api": self._encrypted}
            with ways[component](port, None) as connection:
                found.append(connection.getpeercert(binary_form=True))
            return True

        answers = self._each(component, PORTS[component][0], ask)
        return found + [None for one in answers if not one]

    def ray(self, token: str, ca: Identity) -> Answers:
        """At Ray's head: whether it answers who has this token, and a certificate of its CA."""
        environment = os.environ | self._of_ray(ca) | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}

        def ask(port: int) -> bool | None:
            command = [sys.executable, "-c", GCS, f"{HOST}:{port}"]
            try:
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, timeout=RAY_WAIT_S, check=False
                )
            except subprocess.TimeoutExpired:
                return None
            if done.returncode == 0:
                return True
            return False if any(word in done.stdout + done.stderr for word in UNAUTHENTICATED) else None

        return self._each("ray-head", RAY, ask)

    def ray_certificate(self, ca: Identity) -> Answers:
        """At Ray's head: whether it goes on with who shows a certificate of this CA."""
        files = self._of_ray(ca)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(files["RAY_TLS_SERVER_CERT"], files["RAY_TLS_SERVER_KEY"])

        def ask(port: int) -> bool | None:
            with socket.create_connection((HOST, port), timeout=WAIT_S) as plain:
                connection = context.wrap_socket(plain)
                try:
                    connection.sendall(PREFACE)
                    return connection.recv(9)[3:4] == SETTINGS
                except TimeoutError:
                    return None
                except OSError:
                    return False  # it ends the connection without a word once it has seen the certificate

        return self._each("ray-head", RAY, ask)

    def _of_ray(self, ca: Identity) -> dict[str, str]:
        folder = self._next_folder()
        (folder / "tls.crt").write_bytes(ca.certificate)
        (folder / "tls.key").write_bytes(ca.key)
        return encrypted(folder / "tls.crt", folder / "tls.key", [HOST], folder)

    def _each(self, component: str, port: int, ask: Callable[[int], bool | None]) -> Answers:
        servers = len(self._installation.namespace.pods(component))
        ways = (self._installation.forward(component, *PORTS[component], rank=rank) for rank in range(servers))
        return [_answer(ask, way.local(port)) for way in ways]

    @contextmanager
    def _encrypted(
        self, port: int, shown: Identity | None, begin: bytes = b"", end: bytes = b""
    ) -> Iterator[ssl.SSLSocket]:
        """TLS, after ``begin`` is said, and all is heard that ends with ``end``."""
        with socket.create_connection((HOST, port), timeout=WAIT_S) as plain:
            plain.sendall(begin)
            heard = b""
            while not heard.endswith(end):
                piece = plain.recv(4096)
                if not piece:
                    raise ConnectionResetError("it has ended")
                heard += piece
            with self._context(shown).wrap_socket(plain, server_hostname=HOST) as connection:
                yield connection

    def _nats(self, port: int, shown: Identity | None) -> AbstractContextManager[ssl.SSLSocket]:
        return self._encrypted(port, shown, b"", b"\r\n")

    def _postgres(self, port: int, shown: Identity | None) -> AbstractContextManager[ssl.SSLSocket]:
        return self._encrypted(port, shown, SSL_REQUEST, b"S")

    def _context(self, shown: Identity | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.trusted)
        if shown is not None:
            folder = self._next_folder()
            (folder / "shown").write_bytes(shown.certificate + shown.key)
            context.load_cert_chain(folder / "shown")
        return context

    def _next_folder(self) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return folder


def _answer(ask: Callable[[int], bool | None], port: int) -> bool | None:
    try:
        return ask(port)
    except ssl.SSLCertVerificationError:
        return None  # it is we who refuse
    except ssl.SSLError as error:
        return False if "ALERT" in (error.reason or "") else None
    except (OSError, httpx.TransportError, asyncpg.PostgresError, asyncpg.InterfaceError, IndexError):
        return None
