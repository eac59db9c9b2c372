"""What tests of the interface ask again and again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from chart_harness.waiting import until

from tests.harness.system import System

DEADLINE_S = 30.0


async def register(system: System, *ids: str, **registration: Any) -> None:
    for id_ in ids:
        response = await system.pod.admin.post("/v1/devices", json={"id": id_, **registration})
        assert response.status_code == 201, response.text


async def device_client(system: System, id_: str) -> httpx.AsyncClient:
    """As the device; closed with its pod."""
    client = system.pod.client(await system.pod.token_of(id_))
    system.pod.clients.append(client)
    return client


async def ok(asked: Any) -> Any:
    """The body of an answer that is no refusal."""
    response: httpx.Response = await asked
    assert response.is_success, response.text
    return response.json() if response.content else None


async def becomes(client: httpx.AsyncClient, path: str, expected: Any, **at: Any) -> None:
    """Return when the answer of ``path`` has ``expected`` (a part of it: what is named) in it."""
    last: Any = None

    async def is_so() -> bool:
        nonlocal last
        response = await client.get(path, **at)
        last = response.json()
        return response.is_success and contains(last, expected)

    try:
        await until(is_so, within_s=DEADLINE_S)
    except AssertionError as error:
        raise AssertionError(f"{path} is {last}, not {expected}") from error


def contains(found: Any, expected: Any) -> bool:
    """Whether ``found`` has every member that ``expected`` names."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and contains(found[key], value) for key, value in expected.items())
    return bool(found == expected)


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, query: str = "", *, after: str | None = None
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The events of one stream, each its data with its ``id``; open from the first line on."""
    headers = {} if after is None else {"Last-Event-ID": after}
    async with client.stream("GET", f"/v1/events{query}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        lines = response.aiter_lines()
        async with asyncio.timeout(DEADLINE_S):
            async for line in lines:
                if not line:
                    break
        yield _events(lines)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    found: dict[str, str] = {}
    async for line in lines:
        if not line:
            if "data" in found:
                yield {"id": found["id"], **json.loads(found["data"])}
            found = {}
        else:
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")


async def take(events: AsyncIterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The next ``count`` events, in time."""
    async with asyncio.timeout(DEADLINE_S):
        return [await anext(events) for _ in range(count)]
