"""The connections of one server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from iot_system.adapters.mqtt.events import Ended
from iot_system.adapters.mqtt.observing import CONNECTIONS
from iot_system.adapters.mqtt.reasons import ReasonCode


class Client(Protocol):
    """One connection, as the server sees it."""

    def finish(self, ending: Ended) -> None:
        """Read no more, acknowledge what is in flight, then close."""
        ...

    def check_time(self, now_s: float) -> None:
        """Close if the client is too slow."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Clients:
    """All connections, and by client identifier those that have one: at most one each (3.1.4, point 2).

    An identifier counts within its owner (a device or the administrator), so that none can disturb another's.
    """

    def __init__(self) -> None:
        self._all: set[Client] = set()
        self._named: dict[tuple[str, str], Client] = {}
        self._nobody = asyncio.Event()
        self._nobody.set()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._all))

    def add(self, client: Client) -> None:
        self._all.add(client)
        self._nobody.clear()
        CONNECTIONS.inc()

    def name(self, client: Client, owner: str, client_id: str) -> None:
        """Give ``client`` its identifier; who had it before is told."""
        before = self._named.get((owner, client_id))
        self._named[owner, client_id] = client
        if before is not None:
            why = "the same client identifier has connected again"
            before.finish(Ended("taken_over", why, code=ReasonCode.SESSION_TAKEN_OVER))

    def remove(self, client: Client, owner: str, client_id: str) -> None:
        self._all.discard(client)
        if self._named.get((owner, client_id)) is client:
            del self._named[owner, client_id]
        CONNECTIONS.dec()
        if not self._all:
            self._nobody.set()

    async def gone(self) -> None:
        """Returns when there is no connection any more."""
        await self._nobody.wait()
