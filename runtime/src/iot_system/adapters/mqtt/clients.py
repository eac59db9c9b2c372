"""The connections of one server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol

from iot_system.adapters.mqtt.events import Ended
from iot_system.adapters.mqtt.observing import CONNECTIONS


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
    """All of them. Which one has a client identifier is the broker's to know, for all processes."""

    def __init__(self) -> None:
        self._all: set[Client] = set()
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

    def remove(self, client: Client) -> None:
        self._all.discard(client)
        CONNECTIONS.dec()
        if not self._all:
            self._nobody.set()

    async def gone(self) -> None:
        """Returns when there is no connection any more."""
        await self._nobody.wait()
