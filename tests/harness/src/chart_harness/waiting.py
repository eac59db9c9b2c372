"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")
INTERVAL_S = 0.05


@overload
async def until(what: Callable[[], Awaitable[T]], *, within_s: float, why: str = "") -> T: ...
@overload
async def until(what: Callable[[], T], *, within_s: float, why: str = "") -> T: ...
async def until(what: Callable[[], Any], *, within_s: float, why: str = "") -> Any:
    """Return the first true answer of ``what``; raises `AssertionError` with the last one at the deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        answer = what()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(f"{why or 'it did not become true'} within {within_s:g} s; last: {value!r}")
        await asyncio.sleep(INTERVAL_S)


def wait_until(what: Callable[[], T], *, within_s: float, every_s: float = INTERVAL_S, why: str = "") -> T:
    """As `until`, for threads."""
    deadline = time.monotonic() + within_s
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{why or 'it did not become true'} within {within_s:g} s; last: {answer!r}")
        time.sleep(every_s)
    return answer
