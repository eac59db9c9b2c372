"""What the sender by REST does where the system cannot take everything at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from iot_system.adapters.http.server import HttpServer
from litestar import Litestar, Request, get, post
from litestar.datastructures import State

from bench.senders.orders import Order
from bench.senders.rest import connect
from bench.workload import Workload

LINES: list[bytes] = []
REFUSED: list[dict[str, object]] = []


@get("/health")
async def health() -> dict[str, str]:
    """It is."""
    return {}


@post("/v1/telemetry", status_code=202)
async def take(request: Request[None, None, State]) -> dict[str, object]:
    """All but what `REFUSED` says of this request."""
    lines = (await request.body()).split(b"\n")
    rejected = [REFUSED.pop()] if REFUSED else []
    places = {one["line"] for one in rejected}
    LINES.extend(line for place, line in enumerate(lines, 1) if place not in places)
    return {"accepted": len(lines) - len(rejected), "rejected": rejected}


@pytest.fixture
async def order() -> AsyncIterator[Order]:
    LINES.clear()
    REFUSED.clear()
    server = HttpServer(Litestar([health, take], logging_config=None), "127.0.0.1", 0)
    await server.start()
    yield Order(protocol="rest", port=server.port, passwords=["secret"], workload=Workload(3, 0, devices=1))
    await server.stop(1.0)


async def test_a_message_that_is_refused_for_now_is_sent_again_alone(order: Order) -> None:
    REFUSED.append({"line": 2, "type": "/problems/unavailable", "detail": "later"})
    async with connect(order) as sender:
        await sender.send()
    assert len(LINES) == 3
    assert len(set(LINES)) == 3


async def test_a_message_that_is_refused_for_good_ends_the_benchmark(order: Order) -> None:
    REFUSED.append({"line": 1, "type": "/problems/not-found", "detail": "device 'x' is not registered"})
    async with connect(order) as sender:
        with pytest.raises(ExceptionGroup) as raised:
            await sender.send()
    assert raised.group_contains(ConnectionError, match="'x' is not registered")
