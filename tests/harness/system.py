"""The whole system in this process, over a real broker: API pods as they run, and one shard that owns everything."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from iot_system.adapters.http.server import HttpServer
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from iot_system.ports.gateway import Gateway
from iot_system.services.api import Api
from iot_system.services.hosting import RunningShard, start_shard
from iot_system.services.streams import make_streams
from iot_system.settings import ApiSettings, JwtSettings, ListenSettings, ShardSettings, StreamSettings

from tests.harness.nats import NatsCluster, NatsServer, running_nats

ADMIN_TOKEN = "the-administrator-of-these-tests"
PARTITIONS = 4
STOP_S = 5.0


class Pod:
    """An API pod: REST on ``url``, MQTT on ``mqtt_port``. ``admin`` sends the administrator's token.

    ``trust`` is what its clients by HTTPS trust.
    """

    def __init__(self, api: Api, http: HttpServer, trust: ssl.SSLContext | None) -> None:
        self._api = api
        self._trust = trust
        self.url = f"https://localhost:{http.port}" if trust else f"http://127.0.0.1:{http.port}"
        self.admin = self.client(ADMIN_TOKEN)
        self.clients = [self.admin]

    @property
    def mqtt_port(self) -> int:
        assert self._api._mqtt is not None
        return self._api._mqtt.port

    @property
    def mqtt_tls_port(self) -> int:
        assert self._api._mqtt is not None
        return self._api._mqtt.tls_port

    @property
    def gateway(self) -> Gateway:
        """What stands behind both doors."""
        assert self._api._gateway is not None
        return self._api._gateway

    def client(self, token: str | None, *, shows: ssl.SSLContext | None = None) -> httpx.AsyncClient:
        """A client with ``token``, and with the certificate of ``shows``; the caller closes it."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        verify = shows or self._trust or True
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, verify=verify, trust_env=False)

    async def token_of(self, device: str) -> str:
        """A new token of a registered device."""
        issued = await self.admin.post(f"/v1/devices/{device}/credentials")
        assert issued.status_code == 201, issued.text
        return str(issued.json()["token"])

    async def api_token(self, role: str, *scopes: str) -> tuple[str, str]:
        """The id of a new API token, and the token."""
        issued = await self.admin.post("/v1/tokens", json={"name": "test", "role": role, "scopes": scopes})
        assert issued.status_code == 201, issued.text
        return str(issued.json()["id"]), str(issued.json()["token"])


class System:
    """``pods`` API pods, ``shard``, and ``broker``."""

    def __init__(self, broker: NatsServer | NatsCluster, shard: RunningShard, pods: list[Pod]) -> None:
        self.broker = broker
        self.shard = shard
        self.pods = pods

    @property
    def pod(self) -> Pod:
        return self.pods[0]


@asynccontextmanager
async def running_system(
    folder: Path,
    *,
    pods: int = 1,
    jwt: JwtSettings | None = None,
    tls: Mapping[str, Any] | None = None,
    trust: ssl.SSLContext | None = None,
    broker: NatsServer | NatsCluster | None = None,
    database: str | None = None,
    stream: StreamSettings | None = None,
) -> AsyncIterator[System]:
    """Start everything in ``folder``, and stop it. ``tls`` are further fields of the API's settings.

    A ``broker`` and a ``database`` that are given run already, and stay.
    """
    stream = stream or StreamSettings(partitions=PARTITIONS)
    async with AsyncExitStack() as opened:
        nats = await opened.enter_async_context(running_nats(folder)) if broker is None else broker
        await make_streams(nats.settings(), stream)
        shard = await start_shard(
            ShardSettings(
                broker=nats.settings(ACTOR_SYSTEM),
                stream=stream,
                database_url=database or f"sqlite:///{folder / 'iot.db'}",
            ),
            "shard",
            "node",
        )
        opened.push_async_callback(shard.stop)
        await shard.claim(range(stream.partitions))
        settings = ApiSettings(
            broker=nats.settings(API),
            stream=stream,
            listen=ListenSettings(host="127.0.0.1", http_port=0, mqtt_port=0),
            admin_token=ADMIN_TOKEN,
            jwt=jwt or JwtSettings(),
            **(tls or {}),
        )
        started = [await opened.enter_async_context(_running_pod(settings, trust)) for _ in range(pods)]
        yield System(nats, shard, started)


@asynccontextmanager
async def _running_pod(settings: ApiSettings, trust: ssl.SSLContext | None) -> AsyncIterator[Pod]:
    api = Api(settings)
    http = HttpServer(api.app, "127.0.0.1", 0, websockets=api.websockets, tls=api.http_tls)
    await http.start()
    pod = Pod(api, http, trust)
    try:
        await api.start()
        yield pod
    finally:
        for client in pod.clients:
            await client.aclose()
        await http.stop(STOP_S)
        await api.stop()
