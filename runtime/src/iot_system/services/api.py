"""The API pod: the gateway behind REST and MQTT."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial

import structlog

from iot_system.adapters.http.app import ASGIApp, Receive, Scope, Send, create_app
from iot_system.adapters.http.monitoring import create_monitoring_app
from iot_system.adapters.http.server import HttpTls, WebSocketFactory
from iot_system.adapters.jwt.verifier import jwt_verifier
from iot_system.adapters.mqtt.broker import Broker
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.server import MqttServer, MqttTls
from iot_system.adapters.mqtt.websocket import WebSocketProtocol, unavailable
from iot_system.adapters.nats.broker import NatsBroker
from iot_system.adapters.nats.connection import Client, connect, disconnect
from iot_system.adapters.nats.events import EVENTS, READINGS, NatsLog
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.adapters.nats.stream import NatsStream
from iot_system.adapters.nats.usage import NatsStreams
from iot_system.adapters.secret_file import secret
from iot_system.adapters.tls.contexts import file_of, pair_of, server_contexts
from iot_system.adapters.tls.revoked import RevokedFile
from iot_system.ending import ended
from iot_system.ports.certificates import RevokedCertificates
from iot_system.ports.clock import SystemClock
from iot_system.services.fullness import watch
from iot_system.services.gateway import ActorGateway
from iot_system.services.waiting import wait_for
from iot_system.settings import ApiSettings, ClientCertificates

log = structlog.get_logger()


class Api:
    """Implements `iot_system.ports.health.Health`; start returns when ready, stop drains.

    ``http_tls`` is what its application is to be served with. Raises `InvalidSetting` for files that cannot be used.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self.http_tls = http_tls(settings)
        self._mqtt_tls = mqtt_tls(settings)
        self._admin_token = secret(settings.admin_token, "IOT_ADMIN_TOKEN_FILE", settings.admin_token_file)
        self._revoked: RevokedCertificates = (
            RevokedFile(settings.devices.revoked) if settings.devices.revoked else frozenset()
        )
        self._missing: str | None = "starting"
        self._client: Client | None = None
        self._gateway: ActorGateway | None = None
        self._app: ASGIApp = create_monitoring_app(self)
        self._broker: Broker | None = None
        self._mqtt: MqttServer | None = None
        self._watching: asyncio.Task[None] | None = None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application: probes from the first moment, the interface as soon as there is a gateway."""
        await self._app(scope, receive, send)

    @property
    def websockets(self) -> Mapping[str, WebSocketFactory]:
        """What takes WebSocket connections over, by path: MQTT, as soon as it is served."""
        return {"/mqtt": lambda: unavailable() if self._mqtt is None else WebSocketProtocol(self._mqtt.protocol)}

    def why_not_alive(self) -> str | None:
        """See `iot_system.ports.health.Health`: while it answers, it lives, unless it cannot read messages any more."""
        return None if self._broker is None else self._broker.failure

    def why_not_ready(self) -> str | None:
        """See `iot_system.ports.health.Health`."""
        if self._client is not None and not self._client.is_connected:
            return "the broker is away"
        return self._missing

    async def start(self) -> None:
        """Wait for the broker and its streams, then open both doors."""
        settings = self._settings
        self._client = client = await wait_for(partial(connect, settings.broker, name="api"), missing=self._say)
        stream = NatsStream(client, settings.stream)
        await wait_for(stream.check, missing=self._say)
        clock = SystemClock()
        requests = NatsRequests(client)
        self._gateway = gateway = ActorGateway(
            stream,
            requests,
            clock,
            events=NatsLog(client, EVENTS, partitions=settings.stream.partitions),
            readings=NatsLog(client, READINGS, partitions=settings.stream.partitions),
            partitions=settings.stream.partitions,
            admin_token=self._admin_token,
            jwt=jwt_verifier(settings.jwt, clock.monotonic_s),
            revoked=self._revoked,
        )
        backend = NatsBroker(client, clock)
        await wait_for(backend.start, missing=self._say)
        limits = MqttLimits()
        self._broker = Broker(gateway.name, backend, requests, clock, limits)
        await self._broker.start()
        await gateway.start()
        self._app = create_app(gateway, self)
        listen = settings.listen
        port = listen.mqtt_port if settings.mqtt_tls.plain == "on" else None
        self._mqtt = MqttServer(
            gateway, self._broker.router, host=listen.host, port=port, tls=self._mqtt_tls, limits=limits
        )
        await self._mqtt.start()
        self._watching = asyncio.create_task(watch(NatsStreams(client), clock))
        self._missing = None

    async def stop(self) -> None:
        """Take no new work, make durable what was accepted, then leave; idempotent.

        What is not durable in time is cut: its senders have no acknowledgement, so it is theirs to send again.
        """
        self._say("stopping")
        process = self._settings.process
        left_s = process.drain_timeout_s - process.requests_timeout_s
        deadline_s = asyncio.get_running_loop().time() + left_s
        if self._mqtt is not None:
            await self._mqtt.stop(deadline_s=left_s / 2)
        if self._broker is not None:
            with contextlib.suppress(TimeoutError):  # another process finds the sessions that are not saved
                async with asyncio.timeout_at(deadline_s - left_s / 4):
                    await self._broker.stop()
        with contextlib.suppress(TimeoutError):  # the writers say what they gave up
            async with asyncio.timeout_at(deadline_s):
                if self._gateway is not None:
                    await self._gateway.stop()
        if self._watching is not None:
            self._watching.cancel()
            await ended([self._watching])
        if self._client is not None:
            await disconnect(self._client)

    async def wait_for_end(self) -> None:
        """Never: whatever goes away comes back, and the gateway waits for it."""
        await asyncio.Event().wait()

    def _say(self, missing: str) -> None:
        self._missing = missing


def http_tls(settings: ApiSettings) -> HttpTls | None:
    """None where REST has no certificate of its own. Raises `InvalidSetting`."""
    tls, ca = settings.http_tls, file_of("IOT_DEVICE_CA", settings.devices.ca)
    pair = pair_of("IOT_HTTP_TLS", tls.certificate, tls.key)
    if pair is None:
        return None
    clients: ClientCertificates = "off" if tls.client_certificates == "off" else "optional"
    return HttpTls(server_contexts(pair, ca, clients), requires_certificate=tls.client_certificates == "required")


def mqtt_tls(settings: ApiSettings) -> MqttTls | None:
    """None where MQTT has no certificate of its own. Raises `InvalidSetting`."""
    tls, ca = settings.mqtt_tls, file_of("IOT_DEVICE_CA", settings.devices.ca)
    pair = pair_of("IOT_MQTT_TLS", tls.certificate, tls.key)
    return None if pair is None else MqttTls(tls.port, server_contexts(pair, ca, tls.client_certificates))
