"""One reader of events: first what was, straight from the streams, then what comes, from a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from iot_system.ports.events import Gap, LogReader, Occurrence, Position, Selection
from iot_system.services.occurrences import Part, occurrences
from iot_system.services.tail import DROPPED, Stretch, Tail, fetch

QUEUE_LIMIT = 1000
QUEUE_BYTES_LIMIT = 1024 * 1024
TOO_SLOW = f"the reader is too slow: {QUEUE_LIMIT} events or {QUEUE_BYTES_LIMIT} bytes wait for it; resume from here"


class Past:
    """What stood in one stream before a reader came: from behind ``position`` up to where the tail is."""

    def __init__(
        self,
        tail: Tail[Any],
        part: Part,
        position: int,
    ) -> None:
        self._tail = tail
        self._part = part
        self._position = position
        self._reader: LogReader | None = None
        self._ahead: list[Stretch[Any]] = []

    async def has_begun(self) -> bool:
        """False where the position is beyond the stream's end, thus one of another stream; then all of this is read."""
        if self._position <= self._tail.position or await self._tail.source.reaches(self._position):
            return True
        self._position = 0
        return False

    @property
    def is_over(self) -> bool:
        """Whether all is read that the tail has passed."""
        return self._position >= self._tail.position

    async def next(self, before: Position) -> tuple[list[Occurrence | Gap], Position]:
        """What follows, and the position after it, which was ``before``."""
        if not self._ahead:
            self._reader = self._reader or self._tail.source.read(self._position)
            self._ahead = await fetch(self._reader, self._tail.decode, self._position)
        if not self._ahead:
            self._ahead = [Stretch(self._tail.position, [], 0, DROPPED)]
        found: list[Occurrence | Gap] = []
        # What the tail has not passed yet will come from it.
        while self._ahead and self._ahead[0].sequence <= self._tail.position:
            stretch = self._ahead.pop(0)
            after = msgspec.structs.replace(before, **{self._part: stretch.sequence})
            if stretch.missing:
                found.append(Gap(before, stretch.missing))
            found += occurrences(stretch, before, after)
            self._position, before = stretch.sequence, after
        return found, before

    async def close(self) -> None:
        """Leave the stream."""
        if self._reader is not None:
            await self._reader.close()


class HubListening:
    """Implements `iot_system.ports.events.Listening`."""

    def __init__(
        self,
        selection: Selection,
        position: Position,
        *,
        may_see: Callable[[Occurrence], Awaitable[bool]],
        on_end: Callable[[HubListening], None],
        on_leave: Callable[[HubListening], Awaitable[None]],
    ) -> None:
        self.selection = selection
        self.position = position
        self._may_see = may_see
        self._on_end = on_end
        self._on_leave = on_leave
        self._queue: deque[Occurrence | Gap] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._is_closed = False
        self._pasts: Sequence[Past] = ()
        self._caught_up = position
        self._attach: Callable[[HubListening], None] | None = None

    @property
    def is_over(self) -> bool:
        """See `iot_system.ports.events.Listening.is_over`."""
        return self._is_closed and not self._queue

    def begin_with(self, pasts: Sequence[Past], after: Position, attach: Callable[[HubListening], None]) -> None:
        """Give ``pasts`` first, which begin ``after``, then call ``attach``: then `offer` brings what comes."""
        self._pasts, self._attach = pasts, attach
        self.position = self._caught_up = after

    def offer(self, one: Occurrence | Gap) -> None:
        """Queue what is selected; where the queue is full, that is the end."""
        if self._is_closed or (isinstance(one, Occurrence) and not self.selection.takes(one)):
            return
        if len(self._queue) >= QUEUE_LIMIT or self._bytes + _size(one) > QUEUE_BYTES_LIMIT:
            one = Gap(self._queue[-1].position if self._queue else self.position, TOO_SLOW)
            self.close()
        self._queue.append(one)
        self._bytes += _size(one)
        self._filled.set()

    async def next(self, *, timeout_s: float) -> Occurrence | Gap | None:
        """See `iot_system.ports.events.Listening.next`."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while True:
            while self._queue:
                one = self._queue[0]
                is_for_us = isinstance(one, Gap) or await self._may_see(one)
                self._queue.popleft()
                self._bytes -= _size(one)
                self.position = one.position
                if is_for_us:
                    return one
            if self._is_closed:
                return None
            if self._attach is not None:
                await self._catch_up(self._attach)
                continue
            self._filled.clear()
            try:
                async with asyncio.timeout_at(deadline_s):
                    await self._filled.wait()
            except TimeoutError:
                return None

    def close(self) -> None:
        """See `iot_system.ports.events.Listening.close`."""
        if not self._is_closed:
            self._is_closed = True
            self._filled.set()
            self._on_end(self)

    async def leave(self) -> None:
        """Close, and leave the streams that it was reading from."""
        self.close()
        await self._on_leave(self)
        pasts, self._pasts = self._pasts, ()
        for past in pasts:
            await past.close()

    async def _catch_up(self, attach: Callable[[HubListening], None]) -> None:
        """Queue what follows in the past, or go over to what comes: without a wait in between, so without a gap."""
        for past in self._pasts:
            if not past.is_over:
                found, self._caught_up = await past.next(self._caught_up)
                self._queue.extend(one for one in found if isinstance(one, Gap) or self.selection.takes(one))
                self._bytes = sum(map(_size, self._queue))
                return
        self._attach = None
        self.position = self._caught_up
        attach(self)
        pasts, self._pasts = self._pasts, ()
        for past in pasts:
            await past.close()


def _size(one: Occurrence | Gap) -> int:
    return one.bytes if isinstance(one, Occurrence) else 0
