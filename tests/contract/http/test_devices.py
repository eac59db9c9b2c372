"""The registry, credentials and telemetry, each row of the interface through real servers."""

from __future__ import annotations

import pytest
from chart_harness.waiting import until

from tests.contract.http.asking import DEADLINE_S, becomes, device_client, ok, register
from tests.harness.system import System
from tests.unit.http.expected import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_device_is_registered_read_changed_listed_and_removed(system: System) -> None:
    admin = system.pod.admin
    new = {"id": "a1", "room": "a-room", "labels": {"floor": "2"}, "gateway": "a-gate"}
    made = await ok(admin.post("/v1/devices", json=new))
    assert {name: made[name] for name in new} == new
    problem(await admin.post("/v1/devices", json=new), 409, "conflict")
    assert await ok(admin.get("/v1/devices/a1")) == made
    patch = {"room": None, "labels": {"floor": None, "side": "n"}, "gateway": None}
    changed = await ok(admin.patch("/v1/devices/a1", json=patch))
    assert (changed["room"], changed["labels"], changed["gateway"]) == (None, {"side": "n"}, None)
    assert changed["updated"] > made["updated"]
    listed = await ok(admin.get("/v1/devices", params={"label": "side=n"}))
    assert [one["id"] for one in listed["items"]] == ["a1"]
    assert (await admin.delete("/v1/devices/a1")).status_code == 204
    problem(await admin.get("/v1/devices/a1"), 404, "not-found")


async def test_devices_are_listed_by_room_in_pages(system: System) -> None:
    admin = system.pod.admin
    await register(system, "b1", "b2", "b3", room="b-room")
    first = await ok(admin.get("/v1/devices", params={"room": "b-room", "limit": 2}))
    second = await ok(admin.get("/v1/devices", params={"room": "b-room", "limit": 2, "cursor": first["cursor"]}))
    assert [one["id"] for one in first["items"] + second["items"]] == ["b1", "b2", "b3"]
    assert second["cursor"] is None


async def test_an_import_keeps_the_good_lines_and_tells_of_the_others(system: System) -> None:
    admin = system.pod.admin
    await register(system, "c1")
    lines = '{"id": "c1"}\n{"id": "c2", "room": "c-room"}\n{"id": "c 3"}\n'
    imported = await ok(admin.post("/v1/devices:import", content=lines))
    assert (imported["created"], imported["existing"]) == (1, ["c1"])
    assert [one["line"] for one in imported["rejected"]] == [3]
    assert (await ok(admin.get("/v1/devices/c2")))["room"] == "c-room"


async def test_tokens_of_a_device_rotate(system: System) -> None:
    admin = system.pod.admin
    await register(system, "d1")
    old = await ok(admin.post("/v1/devices/d1/credentials"))
    new = await ok(admin.post("/v1/devices/d1/credentials"))
    for issued in (old, new):
        async with system.pods[1].client(issued["token"]) as itself:
            assert (await ok(itself.get("/v1/devices/me")))["id"] == "d1"
    assert (await admin.delete(f"/v1/devices/d1/credentials/{old['credential']}")).status_code == 204
    async with system.pods[1].client(old["token"]) as gone, system.pods[1].client(new["token"]) as stays:

        async def is_out() -> bool:
            return (await gone.get("/v1/devices/me")).status_code == 401

        await until(is_out, within_s=DEADLINE_S)
        assert (await stays.get("/v1/devices/me")).status_code == 200


async def test_telemetry_comes_back_as_history_and_as_buckets(system: System) -> None:
    await register(system, "e1")
    itself = await device_client(system, "e1")
    ts = 1_700_000_000_000
    messages = [{"ts": ts + 1000 * number, "values": {"t": number, "text": str(number)}} for number in range(10)]
    assert await ok(itself.post("/v1/devices/me/telemetry", json=messages)) == {"accepted": 10}
    await becomes(itself, "/v1/devices/me/twin", {"latest": {"t": {"value": 9}}})
    query: dict[str, str | int] = {"metric": "t", "order": "desc", "limit": 3}
    page = await ok(itself.get("/v1/devices/e1/telemetry", params=query))
    assert [one["value"] for one in page["items"]] == [9, 8, 7]
    rest = await ok(itself.get("/v1/devices/e1/telemetry", params={**query, "limit": 100, "cursor": page["cursor"]}))
    assert [one["value"] for one in rest["items"]] == [6, 5, 4, 3, 2, 1, 0]
    buckets = await ok(
        itself.get("/v1/devices/me/telemetry?metric=t&interval=10s&aggregate=avg,min,max,sum,count,last")
    )
    (bucket,) = buckets["items"]
    assert {name: bucket[name] for name in ("avg", "min", "max", "sum", "count", "last")} == {
        "avg": 4.5,
        "min": 0,
        "max": 9,
        "sum": 45,
        "count": 10,
        "last": 9,
    }


async def test_a_gateway_device_sends_for_those_that_name_it_and_for_nobody_else(system: System) -> None:
    await register(system, "f-gate", "f-other")
    await register(system, "f1", gateway="f-gate")
    gate = await device_client(system, "f-gate")
    items = [{"device": one, "values": {"t": 1}} for one in ("f1", "f-gate", "f-other")]
    answer = await ok(gate.post("/v1/telemetry", json=items))
    assert answer["accepted"] == 2
    assert [(one["index"], one["type"]) for one in answer["rejected"]] == [(2, "/problems/forbidden")]
    assert await ok(gate.post("/v1/devices/f1/telemetry", json={"t": 2})) == {"accepted": 1}
    problem(await gate.post("/v1/devices/f-other/telemetry", json={"t": 2}), 403, "forbidden")
    await becomes(system.pod.admin, "/v1/devices/f1/twin", {"latest": {"t": {"value": 2}}})


async def test_bulk_telemetry_tells_bad_items_by_their_index(system: System) -> None:
    await register(system, "g1")
    items = [{"device": "g1", "values": {"t": 1}}, {"device": "nobody", "values": {"t": 1}}, {"device": "g1"}]
    answer = await ok(system.pod.admin.post("/v1/telemetry", json=items))
    assert answer["accepted"] == 1
    assert [one["index"] for one in answer["rejected"]] == [1, 2]


async def test_the_explanation_names_who_owns_the_actor(system: System) -> None:
    await register(system, "h1")
    found = await ok(system.pod.admin.get("/v1/devices/h1/twin:explain"))
    assert (found["device"], found["shard"], found["node"], found["last_error"]) == ("h1", "shard", "node", None)
    assert found["epoch"] >= 1


async def test_probes_figures_and_the_description_are_served(system: System) -> None:
    admin = system.pod.admin
    for path in ("/health", "/ready"):
        assert await ok(admin.get(path)) == {"status": "ok"}
    assert b"iot_gateway_frames_total" in (await admin.get("/metrics")).content
    assert (await ok(admin.get("/v1/openapi.json")))["openapi"].startswith("3.1")
