"""The broker of applications' topics on JetStream."""

from __future__ import annotations

from nats.aio.client import Client

from iot_system.adapters.nats.broker.appending import Appender
from iot_system.adapters.nats.broker.colleagues import NatsColleagues
from iot_system.adapters.nats.broker.messages import NatsMessages
from iot_system.adapters.nats.broker.retained import NatsRetained
from iot_system.adapters.nats.broker.sessions import NatsSessions
from iot_system.adapters.nats.broker.streams import provide_streams
from iot_system.ports.clock import Clock


class NatsBroker:
    """Implements `iot_system.ports.broker.Backend`, over one connection."""

    def __init__(self, client: Client, clock: Clock, *, replicas: int) -> None:
        self._client = client
        self._replicas = replicas
        self._appender = Appender(client)
        self.messages = NatsMessages(client, self._appender)
        self.retained = NatsRetained(client, self._appender, clock)
        self.sessions = NatsSessions(client, self._appender)
        self.colleagues = NatsColleagues(client)

    async def start(self) -> None:
        """Returns when its streams are there. Raises `Unavailable`."""
        await self.ensure()
        await self._appender.start()

    async def ensure(self) -> None:
        """See `iot_system.ports.broker.Backend.ensure`."""
        await provide_streams(self._client, replicas=self._replicas)
