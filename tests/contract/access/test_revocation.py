"""What is revoked on one API pod ends on all of them within five seconds, what is open too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from chart_harness.waiting import until

from tests.harness.system import Pod, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
REVOKED_WITHIN_S = 5.0


@asynccontextmanager
async def clients(system: System, token: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    """One client on each pod, which has been let in there before."""
    opened = [pod.client(token) for pod in system.pods]
    try:
        for client in opened:
            response = await client.get("/v1/devices/one")
            assert response.status_code == 200, response.text
        yield opened
    finally:
        for client in opened:
            await client.aclose()


async def ends(client: httpx.AsyncClient, listening: asyncio.Event) -> None:
    """Open a stream of events, and return when it has ended."""
    async with client.stream("GET", "/v1/events", timeout=None) as response:
        async for line in response.aiter_lines():
            if line.startswith("id:"):
                listening.set()


async def answered(client: httpx.AsyncClient, path: str, status: int) -> None:
    """Return when the answer has this status."""

    async def is_so() -> bool:
        return (await client.get(path)).status_code == status

    await until(is_so, within_s=REVOKED_WITHIN_S)


async def revoke_credential(pod: Pod) -> tuple[str, Callable[[], Awaitable[httpx.Response]]]:
    issued = (await pod.admin.post("/v1/devices/one/credentials")).json()
    path = f"/v1/devices/one/credentials/{issued['credential']}"
    return issued["token"], lambda: pod.admin.delete(path)


async def revoke_token(pod: Pod) -> tuple[str, Callable[[], Awaitable[httpx.Response]]]:
    id_, token = await pod.api_token("viewer")
    return token, lambda: pod.admin.delete(f"/v1/tokens/{id_}")


@pytest.mark.usefixtures("callers")
@pytest.mark.parametrize("make", [revoke_credential, revoke_token])
async def test_a_revoked_token_ends_on_all_pods_and_so_do_its_open_streams(
    system: System, make: Callable[[Pod], Awaitable[tuple[str, Callable[[], Awaitable[httpx.Response]]]]]
) -> None:
    token, revoke = await make(system.pod)
    async with clients(system, token) as opened:
        streams = []
        for client in opened:
            listening = asyncio.Event()
            streams.append(asyncio.create_task(ends(client, listening)))
            await listening.wait()
        assert (await revoke()).status_code == 204
        async with asyncio.timeout(REVOKED_WITHIN_S):
            for client in opened:
                await answered(client, "/v1/devices/one", 401)
            await asyncio.gather(*streams)


@pytest.mark.usefixtures("callers")
@pytest.mark.parametrize("end", ["disabled", "deleted"])
async def test_a_device_that_is_disabled_or_deleted_is_out_on_all_pods(system: System, end: str) -> None:
    await system.pod.admin.post("/v1/devices", json={"id": f"to-be-{end}"})
    token = await system.pod.token_of(f"to-be-{end}")
    opened = [pod.client(token) for pod in system.pods]
    for client in opened:
        assert (await client.get("/v1/devices/me")).status_code == 200
    if end == "disabled":
        await system.pod.admin.patch("/v1/devices/to-be-disabled", json={"enabled": False})
    else:
        await system.pod.admin.delete("/v1/devices/to-be-deleted")
    async with asyncio.timeout(REVOKED_WITHIN_S):
        for client in opened:
            await answered(client, "/v1/devices/me", 403 if end == "disabled" else 401)
            await client.aclose()
