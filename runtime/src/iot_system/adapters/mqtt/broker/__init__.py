"""What becomes of applications' messages in one process: who gets which, and from where. No sockets, no NATS."""

from __future__ import annotations

from iot_system.adapters.mqtt.broker.feeds import Feeds
from iot_system.adapters.mqtt.broker.ownership import Ownership
from iot_system.adapters.mqtt.broker.presence import Presence
from iot_system.adapters.mqtt.broker.publishing import Publisher
from iot_system.adapters.mqtt.broker.quota import Quota
from iot_system.adapters.mqtt.broker.router import Router
from iot_system.adapters.mqtt.broker.upkeep import Upkeep
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.ports.broker import Backend
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Requests


class Broker:
    """The broker of one process, which is ``gateway`` to the others; `router` is what its connections speak to."""

    def __init__(self, gateway: str, backend: Backend, requests: Requests, clock: Clock, limits: MqttLimits) -> None:
        self._gateway = gateway
        self._colleagues = backend.colleagues
        self._requests = requests
        self._clock = clock
        self._presence = presence = Presence(clock.monotonic_s())
        self._feeds = feeds = Feeds(backend.messages, backend.retained, clock)
        publisher = Publisher(backend.messages, backend.retained)
        quota = Quota(limits.sessions)
        ownership = Ownership(gateway, backend.sessions, backend.colleagues, publisher, presence, quota, clock)
        self.router = Router(backend, ownership, publisher, feeds, clock, limits)
        self._upkeep = Upkeep(gateway, self.router, feeds, ownership, backend, presence, quota, clock)

    @property
    def failure(self) -> str | None:
        """A reason to start the process anew."""
        return self._feeds.failure

    async def start(self) -> None:
        """Listen to the other processes. That this one lives is the gateway's to say."""
        await self._requests.on_alive(lambda name: self._presence.heard(name, self._clock.monotonic_s()))
        await self._colleagues.serve_release(self._gateway, self.router.release)
        self._upkeep.start()

    async def stop(self) -> None:
        """Give all sessions up; to be cut by the caller where the backend is away."""
        try:
            await self.router.stop()
        finally:
            self.router.cut()
            await self._upkeep.stop()
            await self._feeds.stop()
