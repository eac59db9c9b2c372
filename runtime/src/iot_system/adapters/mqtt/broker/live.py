"""The part of the log that clients of this process have subscribed to, as it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from iot_system.ending import ended
from iot_system.errors import Unavailable
from iot_system.ports.broker import Messages, Stored
from iot_system.ports.stream import StreamLost

_BATCH = 256
_WAIT_S = 20.0
_RETRY_S = 0.5
log = structlog.get_logger()


class Live:
    """One reader for all. Its filters only grow: with many of them it reads everything, which costs less than many.

    What ``on_messages`` gets comes in order and without gaps, for all filters since `want` returned for them.
    ``on_lost`` is told from where it goes on when the log has lost its end, which a broker that synchronises always
    does not.
    """

    def __init__(
        self, messages: Messages, on_messages: Callable[[Sequence[Stored]], None], on_lost: Callable[[int], None]
    ) -> None:
        self._messages = messages
        self._on_messages = on_messages
        self._on_lost = on_lost
        self._filters: list[str] = []
        self._pump: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self.head: int | None = None
        """How far it has read; None while it reads nothing."""

    @property
    def failure(self) -> str | None:
        """Why it has stopped reading, which only an error in this program can be."""
        if self._pump is not None and self._pump.done() and not self._pump.cancelled():
            return repr(self._pump.exception())
        return None

    async def want(self, filters: Sequence[str]) -> None:
        """Read what ``filters`` match too, at the latest from the newest message of now on. Raises `Unavailable`."""
        async with self._starting:
            if self.head is None and filters:
                self.head = await self._messages.last()
            missing = self._messages.uncovered(list(dict.fromkeys(filters)), self._filters)
            if missing:
                # The new reader begins behind what was handed on: whatever the old one has got since is read again.
                self._filters = [*self._filters, *missing]
                self._leave()
                self._pump = asyncio.create_task(self._read(tuple(self._filters)))

    async def rest(self) -> None:
        """Nobody wants anything any more, until the next `want`."""
        async with self._starting:
            self._leave()
            self._filters, self.head = [], None
        await ended(self._leaving)

    def _leave(self) -> None:
        """The reader ends when it can, and hands on nothing any more."""
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()
            self._leaving.add(pump)
            pump.add_done_callback(self._leaving.discard)

    async def _read(self, filters: Sequence[str]) -> None:
        me = asyncio.current_task()
        while self._pump is me:
            assert self.head is not None
            try:
                async with self._messages.read(filters, after=self.head) as reader:
                    while True:
                        found = await reader.fetch(_BATCH, wait_s=_WAIT_S)
                        if self._pump is not me:
                            return
                        if found:
                            self._on_messages(found)
                            self.head = found[-1].sequence
            except StreamLost as lost:
                log.error("messages are lost", why=str(lost))
                await self._find_end()
            except Unavailable as error:
                log.warning("messages cannot be read at present", why=str(error))
                await asyncio.sleep(_RETRY_S)

    async def _find_end(self) -> None:
        try:
            self.head = await self._messages.last()
        except Unavailable:
            return  # it is lost the next time, too
        self._on_lost(self.head)
