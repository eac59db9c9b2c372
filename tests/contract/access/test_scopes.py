"""What scopes leave in sight: in lists, in bulk, in events, and in what may be changed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from chart_harness.waiting import until

from tests.harness.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
DEADLINE_S = 20.0


async def ids(client: httpx.AsyncClient, path: str) -> set[str]:
    """All ids of a list, two to a page."""
    found: set[str] = set()
    cursor: str | None = None
    while True:
        page = (await client.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        found |= {item["id"] for item in page["items"]}
        cursor = page["cursor"]
        if cursor is None:
            return found


@asynccontextmanager
async def listening(client: httpx.AsyncClient, **selection: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Events from now on."""
    async with client.stream("GET", "/v1/events", params=selection, timeout=DEADLINE_S) as response:
        assert response.status_code == 200
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("id:"):  # it listens
                break

        async def events() -> AsyncIterator[dict[str, Any]]:
            async for line in lines:
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

        yield events()


async def test_lists_leave_out_what_is_out_of_scope(system: System, callers: dict[str, httpx.AsyncClient]) -> None:
    for number in range(6):
        body = {"id": f"s{number}", "room": "lab" if number % 2 else "attic", "labels": {"floor": str(number)}}
        assert (await system.pod.admin.post("/v1/devices", json=body)).status_code == 201
    everything = await ids(callers["viewer"], "/v1/devices")
    assert {f"s{number}" for number in range(6)} | {"one", "other"} <= everything
    assert await ids(callers["viewer in scope"], "/v1/devices") == {"one", "s1", "s2", "s3", "s5"}
    assert await ids(callers["viewer out of scope"], "/v1/devices") == {"other"}


async def test_rooms_are_in_scope_by_their_id_and_by_their_labels(
    system: System, callers: dict[str, httpx.AsyncClient]
) -> None:
    for room, labels in {"lab": {}, "hall": {}, "second": {"floor": "2"}, "third": {"floor": "3"}}.items():
        assert (await system.pod.admin.put(f"/v1/rooms/{room}", json={"labels": labels})).status_code == 200
    found = {name: await ids(callers[f"viewer{name}"], "/v1/rooms") for name in ("", " in scope", " out of scope")}
    assert {"lab", "hall", "second", "third"} <= found[""]
    assert found[" in scope"] & {"lab", "hall", "second", "third"} == {"lab", "second"}
    assert found[" out of scope"] & {"lab", "hall", "second", "third"} == {"hall"}
    assert (await callers["viewer in scope"].get("/v1/rooms/second")).status_code == 200
    assert (await callers["viewer in scope"].get("/v1/rooms/third")).status_code == 404


async def test_of_a_rooms_command_only_devices_in_scope_are_told(
    system: System, callers: dict[str, httpx.AsyncClient]
) -> None:
    admin, path = system.pod.admin, "/v1/rooms/fourth"
    assert (await admin.put(path, json={"labels": {"floor": "2"}})).status_code == 200
    for id_, labels in {"seen": {"floor": "2"}, "unseen": {}}.items():
        await admin.post("/v1/devices", json={"id": id_, "room": "fourth", "labels": labels})
    given = (await admin.post(f"{path}/commands", json={"name": "stop", "id": "all"})).json()
    assert {one["device"] for one in given["commands"]} == {"seen", "unseen"}
    told = (await callers["viewer in scope"].get(f"{path}/commands/all")).json()
    assert [one["device"] for one in told["commands"]] == ["seen"]
    await admin.delete("/v1/devices/seen")
    assert (await callers["viewer in scope"].get(f"{path}/commands/all")).status_code == 404


async def test_the_desired_state_of_a_room_is_for_those_who_see_all_its_devices(
    system: System, callers: dict[str, httpx.AsyncClient]
) -> None:
    admin, path = system.pod.admin, "/v1/rooms/fifth"
    assert (await admin.put(path, json={"labels": {"floor": "2"}})).status_code == 200
    for id_, labels in {"fifth-seen": {"floor": "2"}, "fifth-unseen": {}}.items():
        await admin.post("/v1/devices", json={"id": id_, "room": "fifth", "labels": labels})
    operator = callers["operator in scope"]
    refused = await operator.patch(f"{path}/twin/desired", json={"on": True})
    assert refused.status_code == 403
    assert "out of your scopes" in refused.json()["detail"]
    await admin.delete("/v1/devices/fifth-unseen")
    assert (await operator.patch(f"{path}/twin/desired", json={"on": True})).status_code == 200


async def test_in_bulk_what_is_out_of_scope_is_refused_item_by_item(callers: dict[str, httpx.AsyncClient]) -> None:
    items = [{"device": device, "values": {"t": 1}} for device in ("one", "other", "missing")]
    response = await callers["operator in scope"].post("/v1/telemetry", json=items)
    assert response.status_code == 202
    assert response.json()["accepted"] == 1
    rejected = response.json()["rejected"]
    assert [(one["index"], one["type"]) for one in rejected] == [(1, "/problems/not-found"), (2, "/problems/not-found")]


async def test_events_of_what_is_out_of_scope_are_not_sent(
    system: System, callers: dict[str, httpx.AsyncClient]
) -> None:
    async with listening(callers["viewer in scope"], kind="twin") as events:
        for device in ("other", "one"):
            path = f"/v1/devices/{device}/twin/desired"
            assert (await system.pod.admin.patch(path, json={"mark": device})).status_code == 200
        assert (await anext(events))["device"] == "one"


async def test_a_device_hears_of_itself_and_a_gateway_of_its_devices(
    system: System, callers: dict[str, httpx.AsyncClient]
) -> None:
    async with (
        listening(callers["device"], kind="twin") as own,
        listening(callers["gateway"], kind="twin") as of_gateway,
        listening(callers["stranger"], kind="twin") as of_stranger,
    ):
        for device in ("gate", "one", "other"):
            path = f"/v1/devices/{device}/twin/desired"
            assert (await system.pod.admin.patch(path, json={"heard": device})).status_code == 200
        assert (await anext(own))["device"] == "one"
        assert [(await anext(of_gateway))["device"] for _ in range(2)] == ["gate", "one"]
        assert (await anext(of_stranger))["device"] == "other"


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"room": "hall"}, 200),  # the label still has it in sight
        ({"labels": {"floor": None}}, 200),  # the room still has
        ({"room": "hall", "labels": {"floor": "3"}}, 403),
        ({"room": None, "labels": {"floor": None}}, 403),
    ],
    ids=str,
)
async def test_a_scoped_administrator_takes_no_device_out_of_sight(
    system: System, callers: dict[str, httpx.AsyncClient], patch: dict[str, Any], status: int
) -> None:
    original = {"room": "lab", "labels": {"floor": "2"}}
    await system.pod.admin.post("/v1/devices", json={"id": "moved", **original})
    try:
        response = await callers["admin in scope"].patch("/v1/devices/moved", json=patch)
        assert response.status_code == status, response.text
    finally:
        assert (await system.pod.admin.patch("/v1/devices/moved", json=original)).status_code == 200


async def test_a_device_that_changes_its_room_changes_who_sees_it(
    system: System, callers: dict[str, httpx.AsyncClient]
) -> None:
    await system.pod.admin.post("/v1/devices", json={"id": "wanders", "room": "hall"})
    inside, outside = callers["viewer in scope"], callers["viewer out of scope"]

    async def statuses() -> tuple[int, int]:
        return tuple([(await one.get("/v1/devices/wanders")).status_code for one in (inside, outside)])  # type: ignore[return-value]

    assert await statuses() == (404, 200)
    await system.pod.admin.patch("/v1/devices/wanders", json={"room": "lab"})

    async def is_so() -> bool:
        return await statuses() == (200, 404)

    await until(is_so, within_s=DEADLINE_S)
