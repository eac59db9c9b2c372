"""Request-reply in memory with the contract of `iot_system.ports.requests.Requests`, and delays on request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from iot_system.errors import Unavailable
from iot_system.ports.requests import Handler


class Switchboard:
    """What a broker is to its clients: who serves which partition, and who listens to announcements."""

    def __init__(self) -> None:
        self.serving: dict[int | None, list[Handler]] = {}
        self.listeners: list[Callable[[str], None]] = []
        self.told: dict[str, list[Callable[[bytes], None]]] = {}
        self.on_alive: list[Callable[[str], None]] = []
        self.on_listening: list[Callable[[], None]] = []
        self.answering: set[asyncio.Future[bytes | None]] = set()
        self._grown = asyncio.Event()

    def add(self, partition: int | None, handler: Handler) -> None:
        """Somebody more serves ``partition``."""
        self.serving.setdefault(partition, []).append(handler)
        self._grown.set()
        self._grown = asyncio.Event()

    async def served(self, partition: int | None) -> None:
        """Return once somebody serves ``partition``."""
        while not self.serving.get(partition):
            await self._grown.wait()


class MemoryRequests:
    """One client of a `Switchboard`. ``before_ask`` and ``before_answer`` may wait, or raise.

    Nobody hears that it is alive while it ``is_mute``.
    """

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._mine: dict[int | None, Handler] = {}
        self.asked: list[tuple[int | None, bytes]] = []
        self.is_mute = False
        self.before_ask: Callable[[], Awaitable[None]] = _at_once
        self.before_answer: Callable[[], Awaitable[None]] = _at_once

    async def ask(self, partition: int | None, data: bytes, *, timeout_s: float) -> bytes:
        """See the port: all who serve a partition hear the question, the first who answers is believed."""
        self.asked.append((partition, data))
        try:
            async with asyncio.timeout(timeout_s):
                await self.before_ask()
                await self._board.served(partition)
                handlers = list(self._board.serving[partition])
                if partition is None:
                    del handlers[1:]
                answer = await self._first(handlers, data)
                await self.before_answer()
                return answer
        except TimeoutError:
            raise Unavailable(f"no answer within {timeout_s:g} s") from None

    async def _first(self, handlers: list[Handler], data: bytes) -> bytes:
        # Whoever answers does not know whether anybody still waits: the asker's deadline cancels nothing there.
        answers = [asyncio.ensure_future(handler(data)) for handler in handlers]
        self._board.answering.update(answers)
        for one in answers:
            one.add_done_callback(self._board.answering.discard)
        waiting = set(answers)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                if (answer := one.result()) is not None:
                    return answer
        await asyncio.Event().wait()  # silence: the deadline ends it
        raise AssertionError

    async def serve(self, partition: int | None, handler: Handler) -> None:
        """See the port."""
        if partition not in self._mine:
            self._mine[partition] = handler
            self._board.add(partition, handler)

    async def unserve(self, partition: int | None) -> None:
        """See the port."""
        if (handler := self._mine.pop(partition, None)) is not None:
            self._board.serving[partition].remove(handler)

    async def announce(self, device: str) -> None:
        """See the port."""
        for listener in self._board.listeners:
            listener(device)

    async def on_announcement(self, callback: Callable[[str], None]) -> None:
        """See the port."""
        self._board.listeners.append(callback)

    async def tell(self, gateway: str, data: bytes) -> None:
        """See the port."""
        for callback in self._board.told.get(gateway, ()):
            callback(data)

    async def on_told(self, gateway: str, callback: Callable[[bytes], None]) -> None:
        """See the port."""
        self._board.told.setdefault(gateway, []).append(callback)

    async def alive(self, gateway: str) -> None:
        """See the port."""
        for callback in () if self.is_mute else self._board.on_alive:
            callback(gateway)

    async def on_alive(self, callback: Callable[[str], None]) -> None:
        """See the port."""
        self._board.on_alive.append(callback)

    async def listening(self) -> None:
        """See the port."""
        for callback in self._board.on_listening:
            callback()

    async def on_listening(self, callback: Callable[[], None]) -> None:
        """See the port."""
        self._board.on_listening.append(callback)

    def vanish(self) -> None:
        """The client's process ends without a word."""
        for partition, handler in self._mine.items():
            self._board.serving[partition].remove(handler)
        self._mine.clear()


async def _at_once() -> None:
    return
