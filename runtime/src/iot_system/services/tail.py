"""Follows one stream of events in this process, once for all of its readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
import structlog

from iot_system.ending import ended
from iot_system.errors import Unavailable
from iot_system.ports.events import Log, LogLost, LogReader

RETRY_S = 0.5
QUIET_S = 5.0
LOST = "the stream was lost"
DROPPED = "the stream has dropped them: it keeps the newest only"
UNREADABLE = "they cannot be read, their writer's version may differ"
T = TypeVar("T")
log = structlog.get_logger()


class Stretch(msgspec.Struct, Generic[T], frozen=True):
    """One message of a stream; ``missing`` says why something before it, or in it, is left out."""

    sequence: int
    items: list[T]
    bytes: int
    missing: str | None = None


async def fetch(reader: LogReader, decode: Callable[[bytes], list[T]], after: int) -> list[Stretch[T]]:
    """What stands behind ``after``, nothing after `QUIET_S`; see `LogReader.fetch`."""
    found: list[Stretch[T]] = []
    for sequence, data in await reader.fetch(wait_s=QUIET_S):
        missing = None if sequence == after + 1 else DROPPED
        try:
            items = decode(data)
        except msgspec.MsgspecError as error:
            log.warning("an event cannot be read", sequence=sequence, error=str(error))
            items, missing = [], UNREADABLE
        found.append(Stretch(sequence, items, len(data), missing))
        after = sequence
    return found


class Tail(Generic[T]):
    """Reads a log from its end on and gives each message to ``take``, which also learns of what is missing.

    ``began`` is where the uninterrupted reading began, ``position`` the last message that ``take`` has got.
    """

    def __init__(self, source: Log, decode: Callable[[bytes], list[T]], take: Callable[[Stretch[T]], None]) -> None:
        self.source = source
        self.decode = decode
        self.began = 0
        self.position = 0
        self._take = take
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether it follows its log, or tries to."""
        return self._running is not None

    def start(self) -> None:
        """Begin at the log's end, in the background."""
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def ready(self, timeout_s: float) -> None:
        """Return once it has begun. Raises `Unavailable` where that takes longer than ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable("the streams of events cannot be read at present") from None

    async def stop(self) -> None:
        """End; it may be started again."""
        running, self._running = self._running, None
        self._ready.clear()
        if running is not None:
            running.cancel()
            await ended([running])

    async def _run(self) -> None:
        reader: LogReader | None = None
        try:
            while True:
                try:
                    if not self._ready.is_set():
                        self.began = self.position = await self.source.end()
                        self._ready.set()
                    # The same one after a failure: it knows which stream its position belongs to.
                    reader = reader or self.source.read(self.position)
                    await self._follow(reader)
                except LogLost as error:
                    log.warning("events are lost", why=str(error))
                    self.began = self.position = 0
                    self._take(Stretch(0, [], 0, LOST))
                    lost, reader = reader, None
                    if lost is not None:
                        await lost.close()
                except Unavailable as error:
                    log.warning("events wait", why=str(error))
                except Exception:
                    log.exception("events begin again")
                await asyncio.sleep(RETRY_S)
        finally:
            if reader is not None:
                await reader.close()

    async def _follow(self, reader: LogReader) -> None:
        while True:
            for stretch in await fetch(reader, self.decode, self.position):
                if stretch.missing:
                    self.began = stretch.sequence - 1
                self._take(stretch)
                self.position = stretch.sequence
