"""An echo behind a door, for tests of who is let in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from iot_system.adapters.listening import listen
from iot_system.adapters.tls.certificates import certificate_of
from iot_system.adapters.tls.contexts import LOOK_EVERY_S, NamedFile, Pair, TlsContexts, server_contexts
from iot_system.adapters.tls.door import TlsDoor
from iot_system.settings import ClientCertificates

from tests.harness.certificates import Authority

DEADLINE_S = 20.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Clock:
    """Time that goes on when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Echo(asyncio.Protocol):
    """Says first which device the client's certificate names, then what the client says."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's have no base class of asyncio's
        certificate = certificate_of(transport)
        named = "nobody" if certificate is None else str(certificate.device)
        self._transport.write(f"{named}\n".encode())

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class Served:
    """An echo behind a door, with a certificate whose files may change."""

    def __init__(self, ours: Authority, clients: ClientCertificates) -> None:
        self.ours = ours
        self.shown = ours.server()
        self.clock = Clock()
        pair = Pair(NamedFile("CERTIFICATE", self.shown.certificate), NamedFile("KEY", self.shown.key))
        self.contexts: TlsContexts = server_contexts(pair, NamedFile("CA", ours.ca), clients, self.clock)
        self.port = 0
        self.door: TlsDoor

    async def connect(self, context: ssl.SSLContext) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname="localhost")

    async def serial(self) -> str:
        """Of the certificate that a new connection is shown."""
        _, writer = await self.connect(self.ours.context())
        found = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        return f"{int(found, 16):X}"

    def look(self) -> None:
        """The files may be looked at again."""
        self.clock.now_s += LOOK_EVERY_S


@asynccontextmanager
async def serving(ours: Authority, clients: ClientCertificates = "off") -> AsyncIterator[Served]:
    served = Served(ours, clients)
    listener = listen("127.0.0.1", 0)
    served.port = listener.getsockname()[1]
    served.door = door = TlsDoor("test", listener, served.contexts, Echo)
    try:
        yield served
    finally:
        door.close()
        await door.wait_closed()


async def says(streams: Streams, text: str) -> None:
    streams[1].write(f"{text}\n".encode())
    async with asyncio.timeout(DEADLINE_S):
        assert await streams[0].readline() == f"{text}\n".encode()


async def greeting(streams: Streams) -> str:
    async with asyncio.timeout(DEADLINE_S):
        return (await streams[0].readline()).decode().strip()
