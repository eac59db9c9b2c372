"""Many devices by bulk requests: NDJSON, some connections, each of which speaks for its share of the devices.

A device's messages all go through one connection, one request after the other, so their order is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import httpx
import msgspec

from bench.senders.orders import Order
from bench.workload import device

CONNECTIONS = 5
BULK_MESSAGES = 1000
TIMEOUT_S = 60.0


class RestSender:
    """Implements `bench.senders.sender.Sender`."""

    def __init__(self, clients: Sequence[httpx.AsyncClient], bodies: Sequence[Sequence[tuple[int, bytes]]]) -> None:
        self._clients = clients
        self._bodies = bodies

    async def send(self) -> None:
        """See `bench.senders.sender.Sender.send`."""
        async with asyncio.TaskGroup() as tasks:
            for client, bodies in zip(self._clients, self._bodies, strict=True):
                tasks.create_task(_send(client, bodies))


async def _send(client: httpx.AsyncClient, bodies: Sequence[tuple[int, bytes]]) -> None:
    for messages, body in bodies:
        response = await client.post("/v1/telemetry", content=body)
        if response.status_code != 202 or msgspec.json.decode(response.content)["accepted"] != messages:
            raise ConnectionError(f"{messages} messages were answered by {response.status_code} {response.text[:500]}")


@contextlib.asynccontextmanager
async def connect(order: Order) -> AsyncIterator[RestSender]:
    """Make all requests and open the connections; the one password is the administrator's token."""
    headers = {"authorization": f"Bearer {order.passwords[0]}", "content-type": "application/x-ndjson"}
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=f"http://127.0.0.1:{order.port}", headers=headers, timeout=TIMEOUT_S, trust_env=False
                )
            )
            for _ in range(CONNECTIONS)
        ]
        for client in clients:
            (await client.get("/health")).raise_for_status()
        yield RestSender(clients, [_bodies(order, connection) for connection in range(CONNECTIONS)])


def _bodies(order: Order, connection: int) -> list[tuple[int, bytes]]:
    """Requests of one connection: how many messages each has, and its lines."""
    devices = range(connection, order.workload.devices, CONNECTIONS)
    lines = [
        b'{"device":"%s",%s' % (device(number).encode(), payload[1:])
        for at_once in zip(*(order.workload.payloads(number) for number in devices), strict=True)
        for number, payload in zip(devices, at_once, strict=True)
    ]
    chunks = [lines[start : start + BULK_MESSAGES] for start in range(0, len(lines), BULK_MESSAGES)]
    return [(len(chunk), b"\n".join(chunk)) for chunk in chunks]
