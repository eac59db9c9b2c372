"""The MQTT server on TCP and TLS: what devices say to the gateway, applications' topics to the broker, and back.

What becomes of a message that cannot be stored
-----------------------------------------------
A client of MQTT 5 gets a negative acknowledgement, PUBACK or PUBREC with the reason, and stays connected.

MQTT 3.1.1 has none: a server may acknowledge the message nevertheless, or close the connection (3.3.5 there). PUBACK is
this system's word that a message is durable, so it is never sent for one that is not:

- **QoS 1 and 2** (bad JSON, a limit exceeded, an unknown topic or device, not allowed, or no room at present): the
  message is not acknowledged. Everything else that arrived with it is stored and acknowledged, then, after a pause, the
  connection is closed. A client that keeps the message sends it again when it is back, at that pace; its other messages
  still get through. A message that will never be accepted so costs its sender a reconnection each time, and no good
  message.
- **QoS 0**: the client asked for no answer. The message is dropped, the connection lives on, in MQTT 5 too.
- A packet that breaks the protocol closes the connection, after what came before it is stored and acknowledged.

Each case adds to ``iot_mqtt_refused_total`` under its reason, and is logged with one sentence. (ThingsBoard closes as
well, with an option to acknowledge; so does AWS IoT Core.)

The end of the server
---------------------
What was accepted is acknowledged, then all connections are closed (MQTT 5: 0x8B), and their sessions saved, so that
another process goes on with them. That is no disconnection in order by the client: its will is published (3.1.2.5), but
where it has a delay and the client comes back within it.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from iot_system.adapters.listening import BACKLOG, listen
from iot_system.adapters.mqtt.broker.router import Router
from iot_system.adapters.mqtt.common import Common
from iot_system.adapters.mqtt.events import Ended
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.protocol import MqttProtocol
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.tls.contexts import TlsContexts
from iot_system.adapters.tls.door import TlsDoor
from iot_system.ports.gateway import Gateway

_CHECK_TIME_EVERY_S = 0.5
RECHECK_EVERY_S = 30.0
"""A change of a device's registration may be announced to nobody: its shard died, the broker was away."""
log = structlog.get_logger()


class MqttTls(msgspec.Struct, frozen=True):
    """The port that speaks TLS alone."""

    port: int
    contexts: TlsContexts


class MqttServer:
    """Serves ``gateway`` on ``host``:``port`` (0 takes a free one, None none) in the current event loop, and by TLS."""

    def __init__(
        self,
        gateway: Gateway,
        router: Router,
        *,
        host: str,
        port: int | None,
        tls: MqttTls | None = None,
        limits: MqttLimits | None = None,
    ) -> None:
        self._gateway = gateway
        self._router = router
        self._host = host
        self._wanted_port = port
        self._tls = tls
        self._limits = limits or MqttLimits()
        self._common: Common | None = None
        self._listening: list[asyncio.Server | TlsDoor] = []
        self._timer: asyncio.TimerHandle | None = None
        self._recheck_s = 0.0
        self.port = port or 0
        """Of the plain one, from `start` on."""
        self.tls_port = tls.port if tls else 0
        """Of the one with TLS, from `start` on."""

    async def start(self) -> None:
        """Returns when connections are accepted. Raises `InvalidSetting` where the address cannot be used."""
        self._common = Common(self._gateway, self._router, self._limits)
        if self._wanted_port is not None:
            listener = listen(self._host, self._wanted_port)
            self.port = int(listener.getsockname()[1])
            loop = asyncio.get_running_loop()
            self._listening.append(await loop.create_server(self.protocol, sock=listener, backlog=BACKLOG))
        if self._tls is not None:
            listener = listen(self._host, self._tls.port)
            self.tls_port = int(listener.getsockname()[1])
            self._listening.append(TlsDoor("mqtt", listener, self._tls.contexts, self.protocol))
        self._check_time()

    def protocol(self) -> MqttProtocol:
        """For one connection, on whatever carries its bytes; from `start` on."""
        assert self._common is not None
        return MqttProtocol(self._common)

    async def stop(self, deadline_s: float) -> None:
        """Accept no more, acknowledge what was accepted, close; cut what takes longer. May be called again."""
        if not self._listening or self._common is None:
            return
        clients, tasks = self._common.clients, self._common.tasks
        closed, self._listening = self._listening, []
        for one in closed:
            one.close()
        for client in clients:
            client.finish(Ended("shutdown", code=ReasonCode.SERVER_SHUTTING_DOWN))
        try:
            async with asyncio.timeout(deadline_s):
                await clients.gone()
                while tasks:
                    await asyncio.wait(tasks)
        except TimeoutError:
            log.warning("mqtt connections cut at stop", connections=len(clients), unfinished=len(tasks))
        for client in clients:
            client.abort()
        await clients.gone()
        for task in tasks:
            task.cancel()
        doors = [one.wait_closed() for one in closed if isinstance(one, TlsDoor)]
        await asyncio.gather(*tasks, *doors, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    def _check_time(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        assert self._common is not None
        for client in self._common.clients:
            client.check_time(now_s)
        if now_s >= self._recheck_s:
            self._recheck_s = now_s + RECHECK_EVERY_S
            self._common.recheck()
        self._timer = loop.call_later(_CHECK_TIME_EVERY_S, self._check_time)
