"""Between a process and what it uses: the test decides what gets through, and when the process is dead."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")
Trouble = Callable[[], Awaitable[None]]


class Lifeline:
    """Wraps ports. ``before`` and ``after`` a method's effect a test may wait or raise; once `cut`, nothing comes back.

    A call that is cut after its effect has had it: the database has committed, the broker has stored, and the process
    never heard of it.
    """

    def __init__(self) -> None:
        self.before: dict[str, Trouble] = {}
        self.after: dict[str, Trouble] = {}
        self.is_cut = False

    def cut(self) -> None:
        """The process is dead: whatever it still asks for neither happens nor is answered."""
        self.is_cut = True

    def through(self, target: T) -> T:
        """``target`` as the process sees it."""
        return cast("T", _Wrapped(target, self))

    async def call(self, name: str, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        await self._pass(self.before.get(name))
        result = await method(*args, **kwargs)
        await self._pass(self.after.get(name))
        return result

    async def _pass(self, trouble: Trouble | None) -> None:
        if trouble is not None:
            await trouble()
        if self.is_cut:
            await asyncio.Event().wait()


class _Wrapped:
    def __init__(self, target: Any, line: Lifeline) -> None:
        self._target = target
        self._line = line

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if inspect.iscoroutinefunction(found):
            return lambda *args, **kwargs: self._line.call(name, found, *args, **kwargs)
        if name == "read":
            return lambda *args, **kwargs: _Wrapped(found(*args, **kwargs), self._line)
        return found

    async def __aenter__(self) -> _Wrapped:
        await self._target.__aenter__()
        return self

    async def __aexit__(self, *reason: Any) -> None:
        await self._target.__aexit__(*reason)


class Times:
    """Raises ``error`` the next ``count`` times."""

    def __init__(self, count: int, error: Exception) -> None:
        self.left = count
        self._error = error

    async def __call__(self) -> None:
        if self.left > 0:
            self.left -= 1
            raise self._error


class Halt:
    """Whoever comes waits until ``released``."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.waiting = 0

    async def __call__(self) -> None:
        self.waiting += 1
        await self.released.wait()
