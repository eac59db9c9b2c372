"""Waiting for other parts: with back-off, saying what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from iot_system.errors import Unavailable

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
T = TypeVar("T")
log = structlog.get_logger()


async def wait_for(what: Callable[[], Awaitable[T]], *, missing: Callable[[str], None]) -> T:
    """Call ``what`` until it does not raise `Unavailable`; ``missing`` is told the reason each time."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return await what()
        except Unavailable as error:
            missing(str(error))
            log.warning("waiting", missing=str(error), next_try_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
