"""What comes in parts, until enough of it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def collect(fetch: Callable[[], Awaitable[Sequence[T]]], count: int, *, within_s: float) -> list[T]:
    """What ``fetch`` gives, ``count`` of it at least. Raises TimeoutError where it does not come in time."""
    found: list[T] = []
    async with asyncio.timeout(within_s):
        while len(found) < count:
            found += await fetch()
    return found
