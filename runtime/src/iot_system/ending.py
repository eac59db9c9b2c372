"""The end of tasks that were cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_S = 5.0


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Returns when these, which were cancelled, have ended; they are cancelled again where they take long.

    Before Python 3.12 `asyncio.wait_for` may swallow a cancellation that comes together with its result, and the
    broker's client waits by it: a task would go on as if nothing had been.
    """
    left = set(tasks)
    while left:
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
        for task in left:
            task.cancel()
