"""An HTTP server on loopback that answers as it is told, one answer after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

CUT = b""
"""Instead of an answer: the connection is closed."""


def answer(status: int, body: str = "", *, headers: str = "") -> bytes:
    """A whole response."""
    return (
        f"HTTP/1.1 {status} X\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n{headers}\r\n{body}"
    ).encode()


def problem(status: int, name: str, detail: str, *, headers: str = "") -> bytes:
    """Problem details."""
    body = f'{{"type":"/problems/{name}","title":"","status":{status},"detail":"{detail}"}}'
    return answer(status, body, headers=headers)


class Scripted:
    """``requests`` are heads with bodies as they came."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.url = ""
        self.requests: list[str] = []
        self._answers = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            writer.close()
            return
        length = next((int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0)
        self.requests.append(head + (await reader.readexactly(length)).decode())
        writer.write(self._answers.pop(0))
        writer.close()


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[Scripted]:
    """A server that gives these answers."""
    script = Scripted(answers)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield script
    finally:
        server.close()
        await server.wait_closed()
