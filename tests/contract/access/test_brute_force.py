"""Wrong tokens are slowed down, and only they."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from iot_system.services.throttle import PER_ADDRESS, PER_ID

from tests.harness.system import running_system
from tests.unit.http.raw import Connection


async def wrong(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.get("/v1/devices/me", headers={"Authorization": f"Bearer {token}"})


async def first_refused(client: httpx.AsyncClient, guesses: Iterable[str]) -> httpx.Response:
    """The first answer that says to wait."""
    for guess in guesses:
        response = await wrong(client, guess)
        if response.status_code == 429:
            return response
    raise AssertionError("none of them was slowed down")


async def test_too_many_wrong_tokens_are_told_when_to_come_back_and_who_was_in_stays_in(tmp_path: Path) -> None:
    async with running_system(tmp_path) as system:
        pod = system.pod
        for device in ("one", "two"):
            assert (await pod.admin.post("/v1/devices", json={"id": device})).status_code == 201
        async with pod.client(await pod.token_of("one")) as one:
            assert (await one.get("/v1/devices/me")).status_code == 200
            async with pod.client(None) as attacker:
                statuses = [(await wrong(attacker, "two.guess")).status_code for _ in range(PER_ID.free + 5)]
                assert statuses == [401] * (PER_ID.free + 1) + [429] * 4
                guesses = (f"device-{number}.guess" for number in range(3 * PER_ADDRESS.free))
                slowed = await first_refused(attacker, guesses)
                assert slowed.json()["type"] == "/problems/overloaded"
                assert 0 < int(slowed.headers["retry-after"]) <= PER_ADDRESS.longest_s
            assert (await one.get("/v1/devices/me")).status_code == 200
            assert (await pod.admin.get("/v1/devices")).status_code == 200


@pytest.mark.parametrize(
    "token", [b"", b"\x00", b"\xff", b"a" * 100_000, b"...", b"eyJ..", b"api.0123456789abcdef." + b"a" * 43]
)
async def test_whatever_is_no_token_is_refused_and_breaks_nothing(tmp_path: Path, token: bytes) -> None:
    async with running_system(tmp_path) as system:
        async with Connection(int(system.pod.url.rpartition(":")[2])) as connection:
            await connection.send(
                b"GET /v1/devices/me HTTP/1.1\r\nHost: pod\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
            )
            status, problem = await connection.response()
        assert status in (400, 401), problem
        assert (await system.pod.admin.get("/v1/devices")).status_code == 200
