from __future__ import annotations

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

TS = 1_700_000_000_000


async def test_a_device_twin_tells_state_versions_and_latest_readings(
    served: Served,
) -> None:
    await served.register("one", room="office")
    empty = (await served.admin.get("/v1/devices/one/twin")).json()
    assert (empty["last_seen"], empty["latest"]) == (None, {})

    messages = [
        {"ts": TS + 1, "values": {"a": 2}},
        {"ts": TS, "values": {"a": 1, "b": "x"}},
    ]
    await served.admin.post("/v1/devices/one/telemetry", json=messages)
    state = served.gateway.states["one"]
    state.reported, state.reported_version = {"firmware": "1.2"}, 3
    state.desired, state.desired_version = {"mode": {"fan": "on"}}, 7
    response = await served.admin.get("/v1/devices/one/twin")
    assert response.headers["etag"] == '"7"'
    assert response.json() == {
        "device": "one",
        "room": "office",
        "reported": {"firmware": "1.2"},
        "desired": {"mode": {"fan": "on"}},
        "version": {"reported": 3, "desired": 7},
        "delivered": 0,
        "connected": False,
        "last_seen": TS + 1,
        "left": None,
        "left_reason": None,
        "latest": {"a": {"ts": TS + 1, "value": 2}, "b": {"ts": TS, "value": "x"}},
    }


async def test_the_explanation_tells_who_owns_the_actor(served: Served) -> None:
    await served.register("one")
    found = (await served.admin.get("/v1/devices/one/twin:explain")).json()
    assert set(found) == {
        "device",
        "partition",
        "shard",
        "node",
        "epoch",
        "applied",
        "lag",
        "last_error",
    }
    problem(await served.admin.get("/v1/devices/none/twin:explain"), 404, "not-found")


async def test_a_room_twin_tells_members_and_aggregates(served: Served) -> None:
    await served.register("one", "two", room="office")
    items = [
        {"device": "one", "ts": TS, "values": {"a": 1, "state": "on"}},
        {"device": "two", "ts": TS + 2, "values": {"a": 4}},
        {"device": "one", "ts": TS + 1, "values": {"a": 1}},
    ]
    await served.admin.post("/v1/telemetry", json=items)
    listed = (await served.admin.get("/v1/rooms")).json()
    assert ([room["id"] for room in listed["items"]], listed["cursor"]) == (["office"], None)
    state_last = {"ts": TS, "value": "on", "device": "one"}
    assert (await served.admin.get("/v1/rooms/office/twin")).json() == {
        "room": "office",
        "members": {
            "one": {"last_seen": TS + 1, "stale": True},
            "two": {"last_seen": TS + 2, "stale": True},
        },
        "metrics": {
            "a": {
                "last": {"ts": TS + 2, "value": 4, "device": "two"},
                "min": 1,
                "max": 4,
                "avg": 2.0,
                "count": 3,
            },
            "state": {
                "last": state_last,
                "min": None,
                "max": None,
                "avg": None,
                "count": 1,
            },
        },
        "desired": {},
        "version": 0,
    }


async def test_rooms_are_listed_in_pages(served: Served) -> None:
    for name in ("a", "b", "c"):
        await served.register(f"in-{name}", room=name)
        await served.admin.post(f"/v1/devices/in-{name}/telemetry", json={"t": 1})
    first = (await served.admin.get("/v1/rooms?limit=2")).json()
    second = (await served.admin.get("/v1/rooms", params={"limit": 2, "cursor": first["cursor"]})).json()
    assert [room["id"] for room in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["cursor"] is None


async def test_a_twin_of_nothing_known_is_not_found(served: Served) -> None:
    problem(await served.admin.get("/v1/devices/none/twin"), 404, "not-found")
    problem(await served.admin.get("/v1/rooms/none/twin"), 404, "not-found")
    problem(await served.admin.get("/v1/rooms/a%20b/twin"), 400, "invalid-input")
