"""The registry of rooms, tokens, the audit log and failures."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.domain.addresses import Address
from iot_system.domain.questions import Failure
from iot_system.domain.registry import DEFAULT_ROOM_BEHAVIOUR, AuditEntry

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served


async def test_a_room_is_registered_read_changed_and_forgotten(served: Served) -> None:
    body = {"labels": {"floor": "2"}, "stale_after_s": 60}
    put = await served.admin.put("/v1/rooms/lab", json=body)
    assert put.status_code == 200, put.text
    room = put.json()
    assert room["created"] == room["updated"] > 1_700_000_000_000
    assert room["behaviour"] == DEFAULT_ROOM_BEHAVIOUR
    assert (await served.admin.get("/v1/rooms/lab")).json() == room
    changed = await served.admin.patch("/v1/rooms/lab", json={"labels": {"floor": None, "wing": "b"}})
    assert changed.json()["labels"] == {"wing": "b"}
    assert [one["id"] for one in (await served.admin.get("/v1/rooms")).json()["items"]] == ["lab"]
    assert (await served.admin.delete("/v1/rooms/lab")).status_code == 204
    problem(await served.admin.get("/v1/rooms/lab"), 404, "not-found")


async def test_a_room_that_devices_are_registered_in_stays(served: Served) -> None:
    await served.register("one", room="lab")
    problem(await served.admin.delete("/v1/rooms/lab"), 409, "conflict")


async def test_a_member_is_stale_by_the_rooms_own_measure(served: Served) -> None:
    await served.register("one", "two", room="lab")
    await served.admin.put("/v1/rooms/lab", json={"stale_after_s": 3600})
    await served.admin.post("/v1/devices/one/telemetry", json={"t": 1})
    members = (await served.admin.get("/v1/rooms/lab/twin")).json()["members"]
    assert members["two"] == {"last_seen": None, "stale": True}
    assert members["one"]["stale"] is False
    await served.admin.patch("/v1/rooms/lab", json={"stale_after_s": 1e-6})
    assert (await served.admin.get("/v1/rooms/lab/twin")).json()["members"]["one"]["stale"] is True


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"stale_after_s": 0}, "stale_after_s is 0"),
        ({"labels": {"a=b": "c"}}, "label 'a=b' must have"),
        ({"behaviour": "os.system"}, 'behaviour is "os.system": '),
        ({"members": []}, "unknown field `members`"),
    ],
)
async def test_a_bad_room_is_refused(served: Served, body: dict[str, Any], detail: str) -> None:
    for answer in (
        await served.admin.put("/v1/rooms/lab", json=body),
        await served.admin.patch("/v1/rooms/lab", json=body),
    ):
        assert detail in problem(answer, 400, "invalid-input")["detail"]


async def test_an_api_token_is_shown_once_listed_without_its_secret_and_revoked(served: Served) -> None:
    body = {"name": "dashboard", "role": "viewer", "scopes": ["room:lab", "label:floor=2"], "expires": 4e12}
    made = await served.admin.post("/v1/tokens", json=body)
    assert made.status_code == 201
    issued = made.json()
    assert issued.pop("token").startswith(f"api.{issued['id']}.")
    assert (issued["name"], issued["role"], issued["scopes"], issued["expires"], issued["created_by"]) == (
        "dashboard",
        "viewer",
        ["room:lab", "label:floor=2"],
        4e12,
        "admin:admin",
    )
    assert (await served.admin.get("/v1/tokens")).json() == {"items": [issued], "cursor": None}
    assert (await served.admin.delete(f"/v1/tokens/{issued['id']}")).status_code == 204
    problem(await served.admin.delete(f"/v1/tokens/{issued['id']}"), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"name": "x", "role": "device"}, 'role is "device": '),
        ({"name": "", "role": "viewer"}, 'name is "": '),
        ({"name": "x", "role": "viewer", "scopes": ["lab"]}, "scope 'lab' is neither room:ID nor label:name=value"),
        ({"name": "x", "role": "viewer", "expires": 1}, "expires is 1.0, which is not in the future"),
    ],
)
async def test_a_bad_token_is_refused(served: Served, body: dict[str, Any], detail: str) -> None:
    assert detail in problem(await served.admin.post("/v1/tokens", json=body), 400, "invalid-input")["detail"]


async def test_the_audit_log_tells_who_changed_what(served: Served) -> None:
    served.gateway.administration.entries = [
        AuditEntry(time_us=2_000, by="admin:admin", action="patchDevice", target="devices/one", detail={"a": 1}),
        AuditEntry(time_us=1_000, by="operator:o", action="putRoom", target="rooms/lab"),
    ]
    both = (await served.admin.get("/v1/audit")).json()["items"]
    assert [(one["ts"], one["action"]) for one in both] == [(2, "patchDevice"), (1, "putRoom")]
    of_room = (await served.admin.get("/v1/audit", params={"target": "rooms/lab", "by": "operator:o"})).json()
    assert [one["detail"] for one in of_room["items"]] == [{}]
    problem(await served.admin.get("/v1/audit", params={"by": "a\0"}), 400, "invalid-input")


async def test_failures_of_a_behaviour_are_kept_for_a_look(served: Served) -> None:
    await served.register("one", room="lab")
    for kind, id_ in (("device", "one"), ("room", "lab")):
        actor = Address("device" if kind == "device" else "room", id_)
        failure = Failure(actor=actor, time_us=1000, handler="on_reading", error="ZeroDivisionError", message="{}")
        served.gateway.administration.kept_failures[actor] = [failure]
        found = (await served.admin.get(f"/v1/{kind}s/{id_}/failures")).json()
        assert found == {
            "items": [{"ts": 1, "handler": "on_reading", "error": "ZeroDivisionError", "message": "{}"}],
        }
