"""HTTP/1.1 over one connection, one request after the other: as little of a client as there can be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from iot_system.errors import Unavailable

HOST = "127.0.0.1"


class HttpClient:
    """Made by `http_client`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str | None) -> None:
        self._reader = reader
        self._writer = writer
        self._headers = f"host: {HOST}\r\ncontent-type: application/json\r\n"
        if token:
            self._headers += f"authorization: Bearer {token}\r\n"

    async def request(self, method: str, path: str, body: object = None) -> Any:
        """The decoded answer. Raises `Unavailable` where that is no success."""
        data = b"" if body is None else msgspec.json.encode(body)
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}content-length: {len(data)}\r\n\r\n"
        self._writer.write(head.encode() + data)
        try:
            answer = await self._reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            content = await self._reader.readexactly(length)
        except (EOFError, OSError) as error:
            raise Unavailable(f"{method} {path} was not answered: {error}") from error
        status = answer[9:12]
        if not status.startswith(b"2"):
            raise Unavailable(f"{method} {path} was answered {status.decode()}: {content.decode()[:300]}")
        return msgspec.json.decode(content)


@contextlib.asynccontextmanager
async def http_client(port: int, token: str | None = None) -> AsyncIterator[HttpClient]:
    """Connected to ``port`` on loopback, in the name of whom ``token`` is of."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield HttpClient(reader, writer, token)
    finally:
        writer.close()
        await writer.wait_closed()
