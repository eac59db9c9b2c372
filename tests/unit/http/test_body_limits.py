from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from chart_harness.waiting import until
from iot_system.adapters.http.bodies import BODIES_LIMIT

from tests.unit.http.expected import problem
from tests.unit.http.raw import Connection
from tests.unit.http.serving import Served

LIMIT = 5 * 1024 * 1024
PATHS = [
    "/v1/telemetry",
    "/v1/devices/one/telemetry",
    "/v1/devices",
    "/v1/devices:import",
]


async def chunks(total: int) -> AsyncIterator[bytes]:
    """A body of unannounced length."""
    sent = 0
    while sent < total:
        size = min(65536, total - sent)
        sent += size
        yield b" " * size


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_over_the_limit_is_refused_whether_its_length_is_announced_or_not(
    served: Served, path: str
) -> None:
    announced = await served.admin.post(path, content=b" " * (LIMIT + 1))
    assert str(LIMIT + 1) in problem(announced, 413, "too-large")["detail"]
    streamed = await served.admin.post(path, content=chunks(LIMIT + 1))
    assert str(LIMIT) in problem(streamed, 413, "too-large")["detail"]


async def test_a_body_of_the_very_limit_is_read(served: Served) -> None:
    await served.register("one")
    body = b'{"a": 1}'.ljust(LIMIT)
    assert (await served.admin.post("/v1/devices/one/telemetry", content=body)).status_code == 202


async def test_an_announced_length_is_refused_before_any_of_it_arrives(
    served: Served,
) -> None:
    async with Connection(served.port) as connection:
        await connection.send(connection.head("POST", "/v1/telemetry", {"Content-Length": str(10**30)}))
        # A length of 31 digits is nonsense to the parser already.
        assert (await connection.response())[0] == 400
    async with Connection(served.port) as connection:
        await connection.send(connection.head("POST", "/v1/telemetry", {"Content-Length": str(10**12)}))
        status, body = await connection.response()
        assert status == 413
        assert b"/problems/too-large" in body


async def test_a_client_that_asks_first_is_not_told_to_go_on(served: Served) -> None:
    headers = {"Content-Length": str(LIMIT + 1), "Expect": "100-continue"}
    async with Connection(served.port) as connection:
        await connection.send(connection.head("POST", "/v1/telemetry", headers))
        assert (await connection.response())[0] == 413


async def test_the_connection_still_serves_after_a_refused_body(served: Served) -> None:
    async with Connection(served.port) as connection:
        length = {"Content-Length": str(LIMIT + 1)}
        await connection.send(connection.head("POST", "/v1/telemetry", length) + b" " * (LIMIT + 1))
        assert (await connection.response())[0] == 413
        await connection.send(connection.head("GET", "/v1/devices", {}))
        assert (await connection.response())[0] == 200


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_failure(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with Connection(served.port) as connection:
        await connection.send(connection.head("POST", "/v1/telemetry", {"Content-Length": "100"}) + b"[")
    assert (await served.admin.get("/v1/devices")).status_code == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_bodies_of_which_nothing_has_come_take_no_room(served: Served) -> None:
    await served.register("one")
    async with AsyncExitStack() as stack:
        for _ in range(2 * BODIES_LIMIT // LIMIT):
            connection = await stack.enter_async_context(Connection(served.port))
            headers = {"Content-Length": str(LIMIT), "Expect": "100-continue"}
            await connection.send(connection.head("POST", "/v1/telemetry", headers))
            assert (await connection.response())[0] == 100
        content = b" " * (LIMIT - 7) + b'{"a":1}'
        assert (await served.admin.post("/v1/devices/one/telemetry", content=content)).status_code == 202


@pytest.mark.parametrize("is_announced", [True, False])
async def test_bodies_that_do_not_fit_beside_those_under_way_are_refused_until_these_end(
    served: Served, is_announced: bool
) -> None:
    await served.register("one")

    async def send() -> httpx.Response:
        content = b" " * LIMIT if is_announced else chunks(LIMIT)
        return await served.admin.post("/v1/devices/one/telemetry", content=content)

    async with AsyncExitStack() as stack:
        for _ in range(BODIES_LIMIT // LIMIT):
            connection = await stack.enter_async_context(Connection(served.port))
            headers = {"Content-Length": str(LIMIT)}
            await connection.send(connection.head("POST", "/v1/telemetry", headers) + b" " * (LIMIT - 1))

        async def is_full() -> bool:
            return (await send()).status_code == 429

        await until(is_full, within_s=20)
        refused = await send()
        assert str(BODIES_LIMIT) in problem(refused, 429, "overloaded")["detail"]
        assert refused.headers["retry-after"]
        small = await served.admin.post("/v1/devices/one/telemetry", json={"a": 1})
        assert small.status_code == 202, "what fits is served"

    async def is_served() -> bool:
        return (await send()).status_code == 400  # read, and found blank

    await until(is_served, within_s=20)
