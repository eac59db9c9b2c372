"""Commands through real servers: durable, once, awaited by events, ended one way."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.http.asking import DEADLINE_S, device_client, ok, register
from tests.harness.system import System
from tests.unit.http.expected import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_command_waits_for_its_device_and_who_waits_hears_of_its_end(system: System) -> None:
    await register(system, "a1")
    itself, (one, other) = await device_client(system, "a1"), (pod.admin for pod in system.pods)
    given = await ok(one.post("/v1/devices/a1/commands", json={"name": "ping", "payload": [1], "id": "c1"}))
    assert given["status"] == "queued"
    waiting = asyncio.create_task(ok(other.get("/v1/devices/a1/commands/c1", params={"wait_s": DEADLINE_S})))
    taken = await ok(itself.get("/v1/devices/me/commands", params={"status": "pending"}))
    assert [(one["id"], one["payload"], one["status"]) for one in taken["items"]] == [("c1", [1], "delivered")]
    answer = {"status": "succeeded", "payload": {"pong": 1}}
    assert await ok(itself.post("/v1/devices/me/commands/c1/result", json=answer)) == {"accepted": 1}
    done = await waiting
    assert (done["status"], done["result"]) == ("succeeded", {"pong": 1})
    assert done == await ok(one.get("/v1/devices/a1/commands/c1"))


async def test_a_device_that_waits_gets_a_command_as_soon_as_it_is_given(system: System) -> None:
    await register(system, "b1")
    itself = await device_client(system, "b1")
    waiting = asyncio.create_task(
        ok(itself.get("/v1/devices/me/commands", params={"status": "pending", "wait_s": DEADLINE_S}))
    )
    given = await ok(system.pods[1].admin.post("/v1/devices/b1/commands", json={"name": "ping"}))
    async with asyncio.timeout(DEADLINE_S / 2):
        assert [one["id"] for one in (await waiting)["items"]] == [given["id"]]


async def test_a_wait_ends_with_what_there_is(system: System) -> None:
    await register(system, "c1")
    admin = system.pod.admin
    await ok(admin.post("/v1/devices/c1/commands", json={"name": "ping", "id": "c1"}))
    found = await ok(admin.get("/v1/devices/c1/commands/c1", params={"wait_s": 0.2}))
    assert found["status"] == "queued"
    itself = await device_client(system, "c1")
    await ok(itself.post("/v1/devices/me/commands/c1/result", json={"status": "failed", "payload": "no"}))
    assert (await ok(admin.get("/v1/devices/c1/commands/c1?wait_s=30")))["status"] == "failed"
    empty = await ok(itself.get("/v1/devices/me/commands", params={"status": "pending", "wait_s": 0.2}))
    assert empty == {"items": [], "cursor": None}


async def test_the_same_id_is_the_same_command_from_every_pod(system: System) -> None:
    await register(system, "d1")
    body = {"name": "ping", "id": "c1", "payload": {"a": 1}}
    given = await asyncio.gather(*(ok(pod.admin.post("/v1/devices/d1/commands", json=body)) for pod in system.pods * 5))
    assert all(one == given[0] for one in given)
    listed = await ok(system.pod.admin.get("/v1/devices/d1/commands"))
    assert len(listed["items"]) == 1
    other = await system.pod.admin.post("/v1/devices/d1/commands", json={**body, "payload": {"a": 2}})
    problem(other, 409, "conflict")


async def test_a_command_expires_by_itself_and_who_waits_hears_of_it(system: System) -> None:
    await register(system, "e1")
    admin = system.pod.admin
    await ok(admin.post("/v1/devices/e1/commands", json={"name": "ping", "id": "c1", "timeout_s": 0.5}))
    found = await ok(admin.get("/v1/devices/e1/commands/c1", params={"wait_s": DEADLINE_S}))
    assert found["status"] == "expired"
    assert found["reason"]


async def test_a_cancelled_command_is_not_taken_any_more(system: System) -> None:
    await register(system, "f1")
    itself, admin = await device_client(system, "f1"), system.pod.admin
    await ok(admin.post("/v1/devices/f1/commands", json={"name": "ping", "id": "c1"}))
    assert (await ok(admin.delete("/v1/devices/f1/commands/c1")))["status"] == "cancelled"
    assert (await ok(itself.get("/v1/devices/me/commands?status=pending")))["items"] == []
    await ok(itself.post("/v1/devices/me/commands/c1/result", json={"status": "succeeded"}))
    await ok(itself.post("/v1/devices/me/telemetry", json={"t": 1}))
    assert (await ok(admin.get("/v1/devices/f1/commands/c1")))["status"] == "cancelled"


async def test_commands_are_listed_newest_first_and_pending_ones_oldest_first(system: System) -> None:
    await register(system, "g1")
    admin = system.pod.admin
    for number in range(5):
        await ok(admin.post("/v1/devices/g1/commands", json={"name": "ping", "id": f"c{number}"}))
    await ok(admin.delete("/v1/devices/g1/commands/c2"))
    first = await ok(admin.get("/v1/devices/g1/commands", params={"limit": 3}))
    rest = await ok(admin.get("/v1/devices/g1/commands", params={"limit": 3, "cursor": first["cursor"]}))
    assert [one["id"] for one in first["items"] + rest["items"]] == ["c4", "c3", "c2", "c1", "c0"]
    pending = await ok(admin.get("/v1/devices/g1/commands", params={"status": "pending"}))
    assert [one["id"] for one in pending["items"]] == ["c0", "c1", "c3", "c4"]
    cancelled = await ok(admin.get("/v1/devices/g1/commands", params={"status": "cancelled"}))
    assert [one["id"] for one in cancelled["items"]] == ["c2"]


async def test_what_is_not_there_is_not_found(system: System) -> None:
    await register(system, "h1")
    admin = system.pod.admin
    for response in (
        await admin.get("/v1/devices/h1/commands/none"),
        await admin.get("/v1/devices/h1/commands/none?wait_s=1"),
        await admin.delete("/v1/devices/h1/commands/none"),
        await admin.post("/v1/devices/nobody/commands", json={"name": "ping"}),
        await admin.get("/v1/devices/nobody/commands"),
    ):
        problem(response, 404, "not-found")


async def test_more_open_commands_than_a_device_may_have_are_refused_for_now(system: System) -> None:
    await register(system, "i1")
    admin = system.pod.admin
    for number in range(100):
        await ok(admin.post("/v1/devices/i1/commands", json={"name": "ping", "id": f"c{number}"}))
    refused = await admin.post("/v1/devices/i1/commands", json={"name": "ping"})
    problem(refused, 429, "overloaded")
    assert refused.headers["retry-after"]
