"""One turn at a time, in the order of those who want one."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Turns:
    """A lock that knows whether somebody waits for it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits."""
        return self._waiting > 0

    async def __aenter__(self) -> None:
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
