"""API tokens, the audit log and failures of behaviours through real servers."""

from __future__ import annotations

import pytest
from chart_harness.waiting import until

from tests.contract.http.asking import DEADLINE_S, becomes, ok, register
from tests.harness.system import System
from tests.unit.http.expected import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")
RAISES = "tests.contract.http.behaviours:RaisesAboveLimit"


async def test_an_api_token_opens_its_role_on_every_pod_until_it_is_revoked(system: System) -> None:
    admin = system.pod.admin
    body = {"name": "dashboard", "role": "viewer", "scopes": ["room:lab"]}
    made = await ok(admin.post("/v1/tokens", json=body))
    token = made.pop("token")
    assert (made["name"], made["role"], made["scopes"], made["expires"]) == ("dashboard", "viewer", ["room:lab"], None)
    assert made in (await ok(admin.get("/v1/tokens")))["items"]
    for pod in system.pods:
        async with pod.client(token) as viewer:
            assert (await viewer.get("/v1/devices")).status_code == 200
            problem(await viewer.get("/v1/tokens"), 403, "forbidden")
    assert (await admin.delete(f"/v1/tokens/{made['id']}")).status_code == 204
    problem(await admin.delete(f"/v1/tokens/{made['id']}"), 404, "not-found")
    for pod in system.pods:
        async with pod.client(token) as viewer:

            async def is_out(viewer: object = viewer) -> bool:
                return (await viewer.get("/v1/devices")).status_code == 401  # type: ignore[attr-defined, no-any-return]

            await until(is_out, within_s=DEADLINE_S)


async def test_the_audit_log_tells_who_changed_what_and_when(system: System) -> None:
    admin = system.pod.admin
    await register(system, "b1")
    await ok(admin.patch("/v1/devices/b1/twin/desired", json={"a": 1}))
    entries = (await ok(admin.get("/v1/audit", params={"target": "devices/b1"})))["items"]
    assert [one["by"] for one in entries] == ["admin:admin"] * len(entries)
    assert len(entries) == 2
    assert entries[0]["ts"] >= entries[1]["ts"]
    page = await ok(admin.get("/v1/audit", params={"by": "admin:admin", "limit": 1}))
    rest = await ok(admin.get("/v1/audit", params={"by": "admin:admin", "limit": 1, "cursor": page["cursor"]}))
    assert page["items"] != rest["items"]
    assert (await ok(admin.get("/v1/audit", params={"by": "nobody:x"})))["items"] == []


async def test_a_message_at_which_a_behaviour_raised_is_kept_for_a_look(system: System) -> None:
    admin = system.pod.admin
    await register(system, "c1", behaviour=RAISES)
    for value in (1, 100):
        await ok(admin.post("/v1/devices/c1/telemetry", json={"t": value}))
    await becomes(admin, "/v1/devices/c1/twin", {"latest": {"t": {"value": 100}}})
    (failure,) = (await ok(admin.get("/v1/devices/c1/failures")))["items"]
    assert failure["handler"] == "on_reading"
    assert "too much" in failure["error"]
    assert "100" in failure["message"]
    assert (await ok(admin.get("/v1/rooms/some-room/failures")))["items"] == []
    problem(await admin.get("/v1/devices/nobody/failures"), 404, "not-found")
