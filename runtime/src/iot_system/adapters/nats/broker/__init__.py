"""The broker of applications' topics on JetStream."""

from __future__ import annotations

from nats.aio.client import Client

from iot_system.adapters.nats.broker.appending import Appender
from iot_system.adapters.nats.broker.colleagues import NatsColleagues
from iot_system.adapters.nats.broker.messages import NatsMessages
from iot_system.adapters.nats.broker.retained import NatsRetained
from iot_system.adapters.nats.broker.sessions import NatsSessions
from iot_system.adapters.nats.broker.streams import MESSAGES, RETAINED, SESSIONS, TIMEOUT_S
from iot_system.adapters.nats.looking import look
from iot_system.ports.clock import Clock


class NatsBroker:
    """Implements `iot_system.ports.broker.Backend`, over one connection."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._appender = Appender(client)
        self.messages = NatsMessages(client, self._appender)
        self.retained = NatsRetained(client, self._appender, clock)
        self.sessions = NatsSessions(client, self._appender)
        self.colleagues = NatsColleagues(client)

    async def start(self) -> None:
        """Raises `Unavailable` where one of its streams is missing."""
        jetstream = self._client.jetstream(timeout=TIMEOUT_S)
        for stream in (MESSAGES, RETAINED, SESSIONS):
            await look(jetstream, stream)
        await self._appender.start()
