from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

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
