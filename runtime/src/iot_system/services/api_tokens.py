"""What an API pod knows of API tokens: kept for some seconds, dropped on announcement."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import msgspec

from iot_system.domain.questions import GetTokens
from iot_system.domain.registry import ApiToken
from iot_system.ports.clock import Clock
from iot_system.services.asking import Asking

KNOWN_FOR_S = 4.0
"""A change that no announcement told of (its shard died) is noticed after this."""
ENTRIES_LIMIT = 10_000


class _Entry(msgspec.Struct, frozen=True):
    until_s: float
    token: ApiToken | None


class ApiTokens:
    """Answers what a token is by its id. ``None`` means that there is none."""

    def __init__(self, asking: Asking, clock: Clock) -> None:
        self._asking = asking
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._asked: dict[str, asyncio.Task[ApiToken | None]] = {}

    async def get(self, id_: str) -> ApiToken | None:
        """Raises `Unavailable` where nobody can tell."""
        entry = self._entries.get(id_)
        if entry is not None and self._clock.monotonic_s() < entry.until_s:
            return entry.token
        if id_ not in self._asked:
            self._asked[id_] = asyncio.create_task(self._ask(id_))
            self._asked[id_].add_done_callback(lambda asked: self._done(id_, asked))
        return await asyncio.shield(self._asked[id_])

    def forget(self, id_: str) -> None:
        """The token changed: ask again next time. An answer under way may be older than the change, and is not kept."""
        self._entries.pop(id_, None)
        self._asked.pop(id_, None)

    async def _ask(self, id_: str) -> ApiToken | None:
        return next(iter(await self._asking.ask(None, GetTokens([id_]), list[ApiToken])), None)

    def _done(self, id_: str, asked: asyncio.Task[ApiToken | None]) -> None:
        failed = asked.cancelled() or asked.exception() is not None
        if self._asked.get(id_) is not asked:  # forgotten meanwhile
            return
        del self._asked[id_]
        if failed:
            return
        self._entries[id_] = _Entry(self._clock.monotonic_s() + KNOWN_FOR_S, asked.result())
        self._entries.move_to_end(id_)
        if len(self._entries) > ENTRIES_LIMIT:
            self._entries.popitem(last=False)
