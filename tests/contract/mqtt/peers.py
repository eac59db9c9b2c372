"""Clients on aiomqtt of the whole system: devices, programs, people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiomqtt
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.harness.system import ADMIN_TOKEN, Pod

DEADLINE_S = 20.0


class Peer:
    """A client that is let in; what it gets waits in its order."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self._messages = aiter(client.messages)

    async def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """The answers, filter by filter, as numbers."""
        asked: Any = [(one, SubscribeOptions(qos)) if self._is_v5 else (one, qos) for one in filters]
        answers: Any = await self.client.subscribe(asked)
        return [int(getattr(one, "value", one)) for one in answers]

    async def publish(self, topic: str, body: object, *, qos: int = 1, **more: Any) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.client.publish(topic, payload, qos=qos, timeout=DEADLINE_S, **more)

    async def next(self) -> aiomqtt.Message:
        async with asyncio.timeout(DEADLINE_S):
            return await anext(self._messages)

    async def get(self) -> tuple[str, Any]:
        """Topic and body of the next message."""
        message = await self.next()
        assert isinstance(message.payload, bytes)
        return str(message.topic), json.loads(message.payload) if message.payload else None

    async def until(self, is_it: Callable[[str, Any], bool]) -> tuple[str, Any]:
        """The first message that ``is_it``; those before it are passed over."""
        while True:
            topic, body = await self.get()
            if is_it(topic, body):
                return topic, body

    @property
    def _is_v5(self) -> bool:
        return self.client._client.protocol == ProtocolVersion.V5.value


@asynccontextmanager
async def peer(
    pod: Pod,
    user: str = "admin",
    token: str = ADMIN_TOKEN,
    *,
    version: ProtocolVersion = ProtocolVersion.V5,
    client_id: str | None = None,
    keeps_session: bool = False,
    will: aiomqtt.Will | None = None,
    transport: Literal["tcp", "websockets"] = "tcp",
) -> AsyncIterator[Peer]:
    """A client of a pod, see `peer_at`."""
    port = pod.mqtt_port if transport == "tcp" else int(pod.url.rpartition(":")[2])
    async with peer_at(
        port,
        user,
        token,
        version=version,
        client_id=client_id,
        keeps_session=keeps_session,
        will=will,
        transport=transport,
    ) as one:
        yield one


@asynccontextmanager
async def peer_at(
    port: int,
    user: str,
    token: str,
    *,
    version: ProtocolVersion,
    client_id: str | None = None,
    keeps_session: bool = False,
    will: aiomqtt.Will | None = None,
    transport: Literal["tcp", "websockets"] = "tcp",
) -> AsyncIterator[Peer]:
    """With ``keeps_session`` it goes on with its session, which outlives it."""
    is_v5 = version is ProtocolVersion.V5
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    if keeps_session:
        properties.SessionExpiryInterval = 600
    client = aiomqtt.Client(
        "127.0.0.1",
        port,
        transport=transport,
        websocket_path="/mqtt" if transport == "websockets" else None,
        username=user,
        password=token,
        identifier=client_id,
        protocol=version,
        clean_session=None if is_v5 else not keeps_session,
        clean_start=not keeps_session if is_v5 else 3,
        properties=properties if is_v5 else None,
        will=will,
        timeout=DEADLINE_S,
    )
    async with client:
        yield Peer(client)


async def registered(pod: Pod, *ids: str, **fields: object) -> list[str]:
    """Register devices; returns their tokens."""
    for id_ in ids:
        answer = await pod.admin.post("/v1/devices", json={"id": id_, **fields})
        assert answer.status_code == 201, answer.text
    return [await pod.token_of(id_) for id_ in ids]


async def twin_of(pod: Pod, device: str) -> dict[str, Any]:
    answer = await pod.admin.get(f"/v1/devices/{device}/twin")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
