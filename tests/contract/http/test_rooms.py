"""Rooms through real servers: their registry, twins, desired state, and commands to all of their devices."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.http.asking import DEADLINE_S, becomes, device_client, ok, register
from tests.harness.system import System
from tests.unit.http.expected import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_room_is_registered_read_changed_listed_and_forgotten(system: System) -> None:
    admin = system.pod.admin
    room = await ok(admin.put("/v1/rooms/a-room", json={"labels": {"floor": "2"}, "stale_after_s": 60}))
    assert await ok(admin.get("/v1/rooms/a-room")) == room
    changed = await ok(admin.patch("/v1/rooms/a-room", json={"labels": {"floor": None}, "stale_after_s": 30}))
    assert (changed["labels"], changed["stale_after_s"], changed["created"]) == ({}, 30, room["created"])
    again = await ok(admin.put("/v1/rooms/a-room", json={}))
    assert again["stale_after_s"] == 900
    listed = await ok(admin.get("/v1/rooms"))
    assert "a-room" in [one["id"] for one in listed["items"]]
    assert (await admin.delete("/v1/rooms/a-room")).status_code == 204
    problem(await admin.get("/v1/rooms/a-room"), 404, "not-found")
    problem(await admin.delete("/v1/rooms/a-room"), 404, "not-found")


async def test_a_room_that_devices_are_registered_in_stays_until_they_have_left(system: System) -> None:
    admin = system.pod.admin
    await register(system, "b1", room="b-room")
    await ok(admin.put("/v1/rooms/b-room", json={}))
    problem(await admin.delete("/v1/rooms/b-room"), 409, "conflict")
    await ok(admin.patch("/v1/devices/b1", json={"room": None}))
    assert (await admin.delete("/v1/rooms/b-room")).status_code == 204


async def test_a_room_twin_tells_members_aggregates_and_who_is_stale(system: System) -> None:
    admin = system.pod.admin
    await register(system, "c1", "c2", "c3", room="c-room")
    await ok(admin.put("/v1/rooms/c-room", json={"stale_after_s": 3600}))
    for device, value in (("c1", 20.0), ("c2", 24.0), ("c1", 22.0)):
        await ok(admin.post(f"/v1/devices/{device}/telemetry", json={"t": value}))
    await ok(admin.post("/v1/devices/c2/telemetry", json={"ts": 1000, "values": {"old": 1}}))
    expected = {"metrics": {"t": {"min": 20.0, "max": 24.0, "avg": 22.0, "count": 3}, "old": {"count": 1}}}
    await becomes(admin, "/v1/rooms/c-room/twin", expected)
    twin = await ok(admin.get("/v1/rooms/c-room/twin"))
    assert twin["metrics"]["t"]["last"]["device"] == "c1"
    assert {device: one["stale"] for device, one in twin["members"].items()} == {"c1": False, "c2": False, "c3": True}
    assert twin["members"]["c3"]["last_seen"] is None


async def test_desired_state_of_a_room_reaches_its_devices_and_those_that_join(system: System) -> None:
    admin = system.pod.admin
    await register(system, "d1", "d2", room="d-room")
    await register(system, "d3")
    await ok(admin.patch("/v1/devices/d1/twin/desired", json={"own": 1}))
    first = await admin.patch("/v1/rooms/d-room/twin/desired", json={"mode": "eco"})
    assert first.json() == {"desired": {"mode": "eco"}, "version": 1}
    problem(
        await admin.patch("/v1/rooms/d-room/twin/desired", json={"mode": "off"}, headers={"If-Match": '"0"'}),
        412,
        "precondition-failed",
    )
    await becomes(admin, "/v1/devices/d1/twin", {"desired": {"own": 1, "mode": "eco"}})
    await becomes(admin, "/v1/devices/d2/twin", {"desired": {"mode": "eco"}})
    await ok(admin.patch("/v1/devices/d3", json={"room": "d-room"}))
    await becomes(admin, "/v1/devices/d3/twin", {"desired": {"mode": "eco"}})
    twin = await admin.get("/v1/rooms/d-room/twin")
    assert (twin.json()["desired"], twin.json()["version"], twin.headers["etag"]) == ({"mode": "eco"}, 1, '"1"')


async def test_a_rooms_command_has_one_status_for_each_device(system: System) -> None:
    admin = system.pod.admin
    await register(system, "e1", "e2", "e3", room="e-room")
    await ok(admin.post("/v1/devices/e3/commands", json={"name": "other", "id": "c1"}))
    given = await ok(admin.post("/v1/rooms/e-room/commands", json={"name": "ping", "id": "c1"}))
    assert sorted(one["device"] for one in given["commands"]) == ["e1", "e2"]
    assert list(given["refused"]) == ["e3"]
    waiting = asyncio.create_task(
        ok(system.pods[1].admin.get("/v1/rooms/e-room/commands/c1", params={"wait_s": DEADLINE_S}))
    )
    for device, status in (("e1", "succeeded"), ("e2", "failed")):
        itself = await device_client(system, device)
        await ok(itself.get("/v1/devices/me/commands?status=pending"))
        await ok(itself.post("/v1/devices/me/commands/c1/result", json={"status": status}))
    found = await waiting
    assert [(one["device"], one["room"], one["status"]) for one in found["commands"]] == [
        ("e1", "e-room", "succeeded"),
        ("e2", "e-room", "failed"),
    ]


async def test_a_rooms_command_again_reaches_those_that_had_none_yet(system: System) -> None:
    admin = system.pod.admin
    await register(system, "f1", room="f-room")
    body = {"name": "ping", "id": "c1"}
    await ok(admin.post("/v1/rooms/f-room/commands", json=body))
    await register(system, "f2", room="f-room")
    again = await ok(admin.post("/v1/rooms/f-room/commands", json=body))
    assert sorted(one["device"] for one in again["commands"]) == ["f1", "f2"]


async def test_a_room_that_nothing_is_known_of_is_not_found(system: System) -> None:
    admin = system.pod.admin
    for response in (
        await admin.get("/v1/rooms/none"),
        await admin.get("/v1/rooms/none/twin"),
        await admin.patch("/v1/rooms/none", json={}),
        await admin.post("/v1/rooms/none/commands", json={"name": "ping"}),
        await admin.get("/v1/rooms/none/commands/c1"),
    ):
        problem(response, 404, "not-found")
    await ok(admin.put("/v1/rooms/empty", json={}))
    problem(await admin.post("/v1/rooms/empty/commands", json={"name": "ping"}), 409, "conflict")
