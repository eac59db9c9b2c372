from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from chart_harness.waiting import until
from iot_system.adapters.http.server import Bounds, HttpServer
from iot_system.errors import InvalidSetting
from litestar import Litestar, Request, get, post
from litestar.datastructures import State
from litestar.types import ASGIApp, Receive, Scope, Send

from tests.unit.http.raw import DEADLINE_S, Connection


class Forwarding:
    """An application that is a bound method, as the API pod's is: it changes what it forwards to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class Slow:
    """An application with a request that takes until the test lets it go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.may_answer = asyncio.Event()

        @get("/slow")
        async def slow() -> str:
            self.entered.set()
            await self.may_answer.wait()
            return "answered"

        @get("/quick")
        async def quick() -> str:
            return "quick"

        @post("/body")
        async def body(request: Request[None, None, State]) -> str:
            return str(len(await request.body()))

        @get("/large")
        async def large() -> bytes:
            return bytes(64 * 1024 * 1024)

        self.app = Litestar([slow, quick, body, large], openapi_config=None, logging_config=None)


@asynccontextmanager
async def running(slow: Slow, bounds: Bounds | None = None) -> AsyncIterator[HttpServer]:
    server = HttpServer(slow.app, "127.0.0.1", 0, *([bounds] if bounds else []))
    await server.start()
    try:
        yield server
    finally:
        await server.stop(5.0)


async def test_port_0_takes_a_free_one_and_tells_it() -> None:
    async with running(Slow()) as one, running(Slow()) as other:
        assert 0 < one.port != other.port > 0
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{one.port}/quick")).text == "quick"


async def test_an_application_may_be_a_bound_method() -> None:
    server = HttpServer(Forwarding(Slow().app).app, "127.0.0.1", 0)
    await server.start()
    try:
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/quick")).text == "quick"
    finally:
        await server.stop(5.0)


async def test_a_port_that_is_taken_stops_the_start_with_one_sentence() -> None:
    async with running(Slow()) as one:
        other = HttpServer(Slow().app, "127.0.0.1", one.port)
        with pytest.raises(
            InvalidSetting,
            match=rf"cannot listen on 127.0.0.1:{one.port}: Address already in use",
        ):
            await other.start()
        await other.stop(1.0)


async def test_a_stop_answers_what_was_asked_and_accepts_no_more() -> None:
    slow = Slow()
    async with running(slow) as server, httpx.AsyncClient(timeout=DEADLINE_S) as client:
        asked = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/slow"))
        await asyncio.wait_for(slow.entered.wait(), DEADLINE_S)
        stopping = asyncio.create_task(server.stop(DEADLINE_S))
        await _refused(server.port)
        assert not stopping.done()
        slow.may_answer.set()
        assert (await asked).text == "answered"
        await asyncio.wait_for(stopping, DEADLINE_S)


async def test_a_stop_cuts_what_takes_longer_than_its_deadline() -> None:
    slow = Slow()
    async with running(slow) as server, httpx.AsyncClient(timeout=DEADLINE_S) as client:
        asked = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/slow"))
        await asyncio.wait_for(slow.entered.wait(), DEADLINE_S)
        await asyncio.wait_for(server.stop(0.2), DEADLINE_S)
        with pytest.raises(httpx.RemoteProtocolError):
            await asked


async def test_a_stop_does_not_wait_for_idle_connections_and_may_be_repeated() -> None:
    async with running(Slow()) as server, httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{server.port}/quick")
        await asyncio.wait_for(server.stop(DEADLINE_S), DEADLINE_S / 2)
        await server.stop(DEADLINE_S)


@pytest.mark.parametrize("sent", [b"", b"GET /quick HTTP/1.1\r\nHost: x\r\n"])
async def test_headers_that_do_not_come_in_time_end_the_connection(sent: bytes) -> None:
    async with (
        running(Slow(), Bounds(header_timeout_s=0.1)) as server,
        Connection(server.port) as connection,
    ):
        await connection.send(sent)
        assert await connection.closed()


async def test_a_body_that_does_not_come_in_time_ends_the_connection() -> None:
    async with (
        running(Slow(), Bounds(request_timeout_s=0.1)) as server,
        Connection(server.port) as connection,
    ):
        await connection.send(connection.head("POST", "/body", {"Content-Length": "10"}) + b"12345")
        assert await connection.closed()


async def test_a_request_that_came_in_time_may_be_answered_late() -> None:
    slow = Slow()
    bounds = Bounds(header_timeout_s=0.4, request_timeout_s=0.4)
    async with running(slow, bounds) as server, Connection(server.port) as connection:
        await connection.send(connection.head("GET", "/slow", {}))
        await asyncio.wait_for(slow.entered.wait(), DEADLINE_S)
        asyncio.get_running_loop().call_later(0.8, slow.may_answer.set)
        assert await connection.response() == (200, b"answered")


async def test_an_idle_connection_is_kept_for_its_time_only() -> None:
    async with (
        running(Slow(), Bounds(keep_alive_s=1)) as server,
        Connection(server.port) as connection,
    ):
        await connection.send(connection.head("GET", "/quick", {}))
        assert (await connection.response())[0] == 200
        assert await connection.closed()


async def test_headers_without_end_end_the_connection() -> None:
    async with (
        running(Slow(), Bounds(header_bytes=10_000)) as server,
        Connection(server.port) as connection,
    ):
        await connection.send(b"GET /quick HTTP/1.1\r\n")
        assert await connection.is_cut_while_sending(b"x-1: %s\r\n" % (b"y" * 1000), times=100_000)


async def test_a_body_in_the_same_packet_as_the_end_of_its_headers_counts_as_body() -> None:
    async with (
        running(Slow(), Bounds(header_bytes=1000)) as server,
        Connection(server.port) as connection,
    ):
        head = connection.head("POST", "/body", {"Content-Length": "50000"})
        await connection.send(head[:20])
        await connection.send(head[20:] + b"x" * 50_000)
        assert await connection.response() == (201, b"50000")


async def test_a_body_without_end_ends_the_connection() -> None:
    async with (
        running(Slow(), Bounds(body_bytes=100_000)) as server,
        Connection(server.port) as connection,
    ):
        await connection.send(connection.head("POST", "/body", {"Transfer-Encoding": "chunked"}))
        assert await connection.is_cut_while_sending(b"10000\r\n" + b"x" * 65536 + b"\r\n", times=10_000)


async def test_one_connection_too_many_is_told_so_and_the_others_go_on() -> None:
    async with (
        running(Slow(), Bounds(connections=2)) as server,
        Connection(server.port) as first,
        Connection(server.port) as second,
    ):
        for connection in (first, second):
            await connection.send(connection.head("GET", "/quick", {}))
            assert (await connection.response())[0] == 200
        async with Connection(server.port) as third:
            status, body = await third.response()
            assert status == 503
            assert b"the server has 2 connections, its limit" in body
            assert await third.closed()
        await first.send(first.head("GET", "/quick", {}))
        assert (await first.response())[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00", b"GET /\xff HTTP/1.1\r\n\r\n", b"NONSENSE\r\n\r\n"],
)
async def test_what_is_not_http_gets_400_and_the_server_goes_on(sent: bytes) -> None:
    async with running(Slow()) as server:
        async with Connection(server.port) as connection:
            await connection.send(sent)
            assert (await connection.response())[0] == 400
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/quick")).text == "quick"


async def test_a_burst_of_connections_waits_in_line_while_the_loop_is_busy() -> None:
    async with running(Slow()) as server:
        # Blocking: the loop accepts none of them meanwhile, so all wait in the listener's line.
        burst = [socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) for _ in range(400)]
        try:
            async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
                assert (await client.get(f"http://127.0.0.1:{server.port}/quick")).text == "quick"
        finally:
            for one in burst:
                one.close()


async def test_two_stops_at_once_are_one() -> None:
    slow = Slow()
    async with running(slow) as server, httpx.AsyncClient(timeout=DEADLINE_S) as client:
        asked = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/slow"))
        await asyncio.wait_for(slow.entered.wait(), DEADLINE_S)
        stops = [asyncio.create_task(server.stop(DEADLINE_S)) for _ in range(2)]
        await _refused(server.port)
        slow.may_answer.set()
        assert (await asked).text == "answered"
        await asyncio.wait_for(asyncio.gather(*stops), DEADLINE_S)


async def _refused(port: int) -> None:
    """Wait until the port takes no connection."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0)


async def test_a_client_that_does_not_read_its_answer_is_cut() -> None:
    async with running(Slow(), Bounds(write_timeout_s=0.2)) as server, Connection(server.port) as silent:
        await silent.send(Connection.head("GET", "/quick", {}))
        assert (await silent.response())[0] == 200
        assert len(server._state.connections) == 1
        await silent.send(Connection.head("GET", "/large", {}))
        await until(lambda: not server._state.connections, within_s=DEADLINE_S)


async def test_a_client_that_reads_slowly_but_reads_is_served_whole() -> None:
    async with running(Slow(), Bounds(write_timeout_s=5.0)) as server, Connection(server.port) as slow:
        await slow.send(Connection.head("GET", "/large", {}))
        status, body = await slow.response()
        assert (status, len(body)) == (200, 64 * 1024 * 1024)
