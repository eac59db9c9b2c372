from __future__ import annotations

import pytest

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

ADMIN_ONLY = [
    ("POST", "/v1/devices"),
    ("GET", "/v1/devices"),
    ("POST", "/v1/devices:import"),
    ("PATCH", "/v1/devices/one"),
    ("DELETE", "/v1/devices/one"),
    ("POST", "/v1/devices/one/credentials"),
    ("DELETE", "/v1/devices/one/credentials/x"),
    ("GET", "/v1/devices/one/twin:explain"),
    ("GET", "/v1/rooms"),
    ("GET", "/v1/rooms/office/twin"),
]
OWN = [
    ("GET", "/v1/devices/{}"),
    ("POST", "/v1/devices/{}/telemetry"),
    ("GET", "/v1/devices/{}/telemetry"),
    ("GET", "/v1/devices/{}/twin"),
]


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Basic eDp5", "Bearer wrong", "Bearer \xe9"],
)
async def test_no_valid_token_is_unauthenticated(served: Served, header: str | None) -> None:
    routes = [*ADMIN_ONLY, *OWN, ("POST", "/v1/telemetry")]
    async with served.client(None) as client:
        for method, path in routes:
            headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
            response = await client.request(method, path.format("one"), headers=headers)
            problem(response, 401, "unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_is_written_in_any_case(served: Served) -> None:
    token = served.admin.headers["authorization"].split()[1]
    assert (await served.admin.get("/v1/devices", headers={"Authorization": f"bearer {token}"})).status_code == 200


@pytest.mark.parametrize(("method", "path"), ADMIN_ONLY)
async def test_a_device_may_not_do_what_is_the_administrators(served: Served, method: str, path: str) -> None:
    await served.register("one", room="office")
    device = await served.as_device("one")
    problem(await device.request(method, path), 403, "forbidden")


@pytest.mark.parametrize(("method", "path"), OWN)
async def test_a_device_may_not_touch_another(served: Served, method: str, path: str) -> None:
    await served.register("one", "two")
    device = await served.as_device("one")
    body = problem(
        await device.request(method, path.format("two"), json={"t": 1}),
        403,
        "forbidden",
    )
    assert "'two'" in body["detail"]
    assert served.gateway.messages == 0


@pytest.mark.parametrize("name", ["me", "one"])
@pytest.mark.parametrize(("method", "path"), OWN)
async def test_a_device_reaches_itself_by_its_id_and_as_me(served: Served, method: str, path: str, name: str) -> None:
    await served.register("one")
    device = await served.as_device("one")
    response = await device.request(method, path.format(name), content=b'{"t": 1}' if method == "POST" else None)
    assert response.status_code in (200, 202), response.text


async def test_me_is_nobody_for_the_administrator(served: Served) -> None:
    problem(await served.admin.get("/v1/devices/me"), 400, "invalid-input")


async def test_in_bulk_a_device_sends_for_itself_only(served: Served) -> None:
    await served.register("one", "two")
    device = await served.as_device("one")
    items = [{"device": name, "values": {"t": 1}} for name in ("one", "two", "me")]
    response = await device.post("/v1/telemetry", json=items)
    assert response.status_code == 202
    body = response.json()
    assert body["accepted"] == 2
    assert [(one["index"], one["type"]) for one in body["rejected"]] == [(1, "/problems/forbidden")]
    assert {key[0] for key in served.gateway.history} == {"one"}


async def test_a_revoked_token_no_longer_works_and_the_other_does(
    served: Served,
) -> None:
    await served.register("one")
    first = (await served.admin.post("/v1/devices/one/credentials")).json()
    second = (await served.admin.post("/v1/devices/one/credentials")).json()
    revoked = await served.admin.delete(f"/v1/devices/one/credentials/{first['credential']}")
    assert revoked.status_code == 204
    async with served.client(first["token"]) as client:
        problem(await client.get("/v1/devices/me"), 401, "unauthenticated")
    async with served.client(second["token"]) as client:
        assert (await client.get("/v1/devices/me")).json()["id"] == "one"
