"""A sender as its parent sees it: a process that is ready, then goes, then tells."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from bench.programs import Program, program
from bench.senders.orders import Order, Sent


class Sender(Protocol):
    """What is connected and has everything encoded."""

    async def send(self) -> None:
        """Send all of it; returns when all is acknowledged, raises where anything is refused."""
        ...


class SenderProcess:
    """Made by `sender`."""

    def __init__(self, process: Program) -> None:
        self._process = process

    async def send(self) -> Sent:
        """Begin, and return when everything is acknowledged."""
        return await self._process.ask(None, Sent)


@contextlib.asynccontextmanager
async def sender(order: Order) -> AsyncIterator[SenderProcess]:
    """A process that is ready to carry out ``order``; it is gone afterwards. Raises `Unavailable` where it fails."""
    async with program("bench.senders") as process:
        await process.ask(order, type(None))
        yield SenderProcess(process)
