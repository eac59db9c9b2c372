"""A sender as its parent sees it: a process that is ready, then goes, then tells."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec
from iot_system.errors import Unavailable

from bench.senders.orders import Order, Sent

READY = "ready"
READY_TIMEOUT_S = 120.0


class Sender(Protocol):
    """What is connected and has everything encoded."""

    async def send(self) -> None:
        """Send all of it; returns when all is acknowledged, raises where anything is refused."""
        ...


class SenderProcess:
    """Made by `sender`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def wait_until_ready(self) -> None:
        """Everything is encoded and connected."""
        async with asyncio.timeout(READY_TIMEOUT_S):
            await self._line(READY)

    def go(self) -> None:
        """Begin to send."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    async def sent(self) -> Sent:
        """When everything is acknowledged."""
        return msgspec.json.decode(await self._line("figures"), type=Sent)

    async def _line(self, what: str) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise Unavailable(f"the sender ended with {await self._process.wait()} before its {what}")
        return line


@contextlib.asynccontextmanager
async def sender(order: Order) -> AsyncIterator[SenderProcess]:
    """A process that is ready to carry out ``order``; it is gone afterwards. Raises `Unavailable` where it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.senders", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        started = SenderProcess(process)
        await started.wait_until_ready()
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
