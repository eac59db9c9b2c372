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
LINE = b"\n"
LATER = (429, 503)
TEMPORARY = ("/problems/unavailable", "/problems/overloaded")
TIMES, RETRY_S = 20, 0.5
"""How often a message is sent that a busy system could not take at once, as clients do."""


class RestSender:
    """Implements `bench.senders.sender.Sender`."""

    def __init__(self, clients: Sequence[httpx.AsyncClient], bodies: Sequence[Sequence[bytes]]) -> None:
        self._clients = clients
        self._bodies = bodies

    async def send(self) -> None:
        """See `bench.senders.sender.Sender.send`."""
        async with asyncio.TaskGroup() as tasks:
            for client, bodies in zip(self._clients, self._bodies, strict=True):
                tasks.create_task(_send(client, bodies))


async def _send(client: httpx.AsyncClient, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        waiting = body
        for _ in range(TIMES):
            if not (waiting := await _refused(client, waiting)):
                break
            await asyncio.sleep(RETRY_S)
        else:
            raise ConnectionError(f"{waiting.count(LINE) + 1} messages were refused {TIMES} times")


async def _refused(client: httpx.AsyncClient, body: bytes) -> bytes:
    """Send lines; returns those that may pass later. Raises `ConnectionError` where any may not."""
    response = await client.post("/v1/telemetry", content=body)
    if response.status_code in LATER:
        return body
    if response.status_code != 202:
        raise ConnectionError(f"messages were answered by {response.status_code} {response.text[:500]}")
    lines, rejected = body.split(LINE), msgspec.json.decode(response.content).get("rejected", ())
    if final := [one for one in rejected if one["type"] not in TEMPORARY]:
        raise ConnectionError(f"{len(final)} messages were refused, the first because {final[0]['detail']}")
    return LINE.join([lines[one["line"] - 1] for one in rejected])


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


def _bodies(order: Order, connection: int) -> list[bytes]:
    """Requests of one connection."""
    devices = range(connection, order.workload.devices, CONNECTIONS)
    lines = [
        b'{"device":"%s",%s' % (device(number).encode(), payload[1:])
        for at_once in zip(*(order.workload.payloads(number) for number in devices), strict=True)
        for number, payload in zip(devices, at_once, strict=True)
    ]
    return [LINE.join(lines[start : start + BULK_MESSAGES]) for start in range(0, len(lines), BULK_MESSAGES)]
