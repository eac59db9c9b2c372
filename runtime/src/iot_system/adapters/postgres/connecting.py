"""A connection to whichever of several servers fits the URL, as its primary: all are asked at once.

The driver asks one after the other, and one that froze would use up the time for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""The last one is what the driver says when a server's last words (it crashes, it shuts down) cross our statement."""


async def connect(servers: str, url: str, **options: Any) -> Any:
    """The first connection of those to ``servers`` (host:port, separated by commas), as ``url`` and ``options`` say.

    Of several it is the one that takes writes: which answers first says nothing.

    Raises what the last server said that could have been the right one.
    """
    places = [_place_of(server) for server in servers.split(",")]
    if len(places) > 1:
        options["target_session_attrs"] = "read-write"
    attempts = [asyncio.create_task(asyncpg.connect(url, **place, **options)) for place in places]
    chosen: Any = None
    try:
        chosen = await _first(attempts)
        return chosen
    finally:
        for attempt in attempts:
            attempt.cancel()
        for left in await asyncio.gather(*attempts, return_exceptions=True):
            if left is not chosen and not isinstance(left, BaseException):
                left.terminate()


async def _first(attempts: Sequence[asyncio.Task[Any]]) -> Any:
    problem: BaseException | None = None
    for attempt in asyncio.as_completed(attempts):
        try:
            return await attempt
        except asyncpg.TargetServerAttributeNotMatched as other:
            problem = problem or other
        except TROUBLE as trouble:
            problem = trouble
    assert problem is not None
    raise problem


def _place_of(server: str) -> dict[str, Any]:
    host, _, port = server.rpartition(":")
    return {"host": host.strip("[]"), "port": int(port)}
