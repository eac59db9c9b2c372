"""A real server on a loopback socket over a gateway in memory, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from iot_system.adapters.http.app import create_app
from iot_system.adapters.http.server import HttpServer

from tests.unit.http.memory_gateway import ADMIN_TOKEN, MemoryGateway


class SwitchableHealth:
    """Says what a test sets."""

    alive: str | None = None
    ready: str | None = None

    def why_not_alive(self) -> str | None:
        return self.alive

    def why_not_ready(self) -> str | None:
        return self.ready


class Served:
    """A running interface: ``admin`` sends the administrator's token, `as_device` a device's own."""

    def __init__(self, gateway: MemoryGateway, health: SwitchableHealth, server: HttpServer) -> None:
        self.gateway = gateway
        self.health = health
        self.server = server
        self.port = server.port
        self.url = f"http://127.0.0.1:{server.port}"
        self.admin = self.client(ADMIN_TOKEN)
        self._clients = [self.admin]

    def client(self, token: str | None) -> httpx.AsyncClient:
        """A client with ``token``; the caller closes it."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)

    async def register(self, *ids: str, room: str | None = None) -> None:
        for id_ in ids:
            response = await self.admin.post("/v1/devices", json={"id": id_, "room": room})
            assert response.status_code == 201, response.text

    async def as_device(self, id_: str) -> httpx.AsyncClient:
        """A client of a registered device; closed with the server."""
        issued = await self.admin.post(f"/v1/devices/{id_}/credentials")
        client = self.client(issued.json()["token"])
        self._clients.append(client)
        return client

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    """Start everything, and stop it within 5 s."""
    gateway, health = MemoryGateway(), SwitchableHealth()
    server = HttpServer(create_app(gateway, health), "127.0.0.1", 0)
    await server.start()
    served = Served(gateway, health, server)
    try:
        yield served
    finally:
        await served.aclose()
        await server.stop(5.0)
