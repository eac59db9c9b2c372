"""The client: one token, one pool of connections, everything of the REST interface."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Self

from iot_system.client.commands import Commands
from iot_system.client.devices import Devices
from iot_system.client.events import Events
from iot_system.client.history import History
from iot_system.client.rest import Rest
from iot_system.client.rooms import Rooms
from iot_system.client.telemetry import Telemetry
from iot_system.client.tokens import Tokens
from iot_system.client.twins import Twins

PATIENCE_S = 60.0


class IotClient:
    """For an ``async with``. All calls raise an `IotError` whose class says what the caller can do about it.

    What the system refuses for now (429, 503) and what does not reach it is tried again for ``patience_s`` seconds,
    then it is `Unavailable`. ``tls`` is what it is spoken to with by HTTPS, by default with trust in the system's CAs.
    ``waiting`` is told why, once for each call that takes longer than 2 s because of that.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        tls: ssl.SSLContext | None = None,
        patience_s: float = PATIENCE_S,
        waiting: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._rest = Rest(url, token, tls=tls, patience_s=patience_s, waiting=waiting)
        self.devices = Devices(self._rest)
        self.telemetry = Telemetry(self._rest)
        self.history = History(self._rest)
        self.twins = Twins(self._rest)
        self.commands = Commands(self._rest)
        self.rooms = Rooms(self._rest)
        self.events = Events(self._rest)
        self.tokens = Tokens(self._rest)

    @property
    def url(self) -> str:
        """Of the interface, without a slash at its end."""
        return self._rest.url

    async def __aenter__(self) -> Self:
        await self._rest.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._rest.__aexit__(*exc_info)
