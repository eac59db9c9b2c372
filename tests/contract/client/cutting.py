"""A proxy that cuts each connection after some bytes of what the server says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CUTS = 8
"""Then it leaves connections alone."""


class Cutting:
    """``cuts`` counts the connections that it has cut."""

    def __init__(self, host: str, port: int, after_bytes: int) -> None:
        self.cuts = 0
        self.address = ("", 0)
        self._server = (host, port)
        self._after_bytes = after_bytes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        there, to_there = await asyncio.open_connection(*self._server)
        out = asyncio.create_task(self._pass_on(reader, to_there, None))
        back = asyncio.create_task(self._pass_on(there, writer, self._after_bytes))
        try:
            await asyncio.wait([out, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (out, back):
                task.cancel()
            for one in (writer, to_there):
                one.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
        left = limit
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(512):
                if left is not None and self.cuts < CUTS and (left := left - len(data)) < 0:
                    self.cuts += 1
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def cutting(host: str, port: int, *, after_bytes: int) -> AsyncIterator[Cutting]:
    """Listen for the time of a test."""
    proxy = Cutting(host, port, after_bytes)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.address = server.sockets[0].getsockname()[:2]
    try:
        yield proxy
    finally:
        server.close()
