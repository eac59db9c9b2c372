"""A connection whose every byte the test chooses."""

from __future__ import annotations

import asyncio
from types import TracebackType

from tests.unit.http.memory_gateway import ADMIN_TOKEN

DEADLINE_S = 20.0


class Connection:
    """One TCP connection to a server on this machine; each wait has a deadline."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    @staticmethod
    def head(method: str, path: str, headers: dict[str, str]) -> bytes:
        """A request's head with the administrator's token."""
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {ADMIN_TOKEN}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await asyncio.wait_for(self._writer.drain(), DEADLINE_S)

    async def response(self) -> tuple[int, bytes]:
        """The next response: its status and its body."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await asyncio.wait_for(
            self._reader.readexactly(int(headers.get(b"content-length", b"0"))),
            DEADLINE_S,
        )
        return int(head.split(b" ", 2)[1]), body

    async def is_cut_while_sending(self, data: bytes, *, times: int) -> bool:
        """Send ``data`` again and again; False where the server still takes it at the end."""
        try:
            for _ in range(times):
                await self.send(data)
        except (ConnectionResetError, BrokenPipeError):
            return True
        return False

    async def closed(self) -> bool:
        """Wait until the server has closed; False where it sent something instead."""
        try:
            return await asyncio.wait_for(self._reader.read(1), DEADLINE_S) == b""
        except ConnectionResetError:
            return True
