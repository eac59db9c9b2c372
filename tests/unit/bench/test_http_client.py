"""The least of an HTTP client, against the system's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from iot_system.adapters.http.server import HttpServer
from iot_system.errors import Unavailable
from litestar import Litestar, Request, post
from litestar.datastructures import State

from bench.http_client import http_client


@post("/echo", status_code=200)
async def echo(request: Request[None, None, State]) -> dict[str, object]:
    """The body and who sent it."""
    return {"body": await request.json(), "authorization": request.headers.get("authorization")}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = HttpServer(Litestar([echo], logging_config=None), "127.0.0.1", 0)
    await server.start()
    yield server.port
    await server.stop(1.0)


async def test_requests_follow_each_other_on_one_connection(port: int) -> None:
    async with http_client(port, "secret") as http:
        for number in range(3):
            answer = await http.request("POST", "/echo", {"number": number})
            assert answer == {"body": {"number": number}, "authorization": "Bearer secret"}


async def test_an_answer_that_is_no_success_is_told(port: int) -> None:
    async with http_client(port) as http:
        with pytest.raises(Unavailable, match=r"GET /nowhere was answered 404"):
            await http.request("GET", "/nowhere")
