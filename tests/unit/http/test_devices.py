from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

NDJSON = {"Content-Type": "application/x-ndjson"}


async def test_a_device_is_created_read_changed_and_removed(served: Served) -> None:
    new = {"id": "one", "room": "office", "labels": {"floor": "2", "side": "north"}}
    created = await served.admin.post("/v1/devices", json=new)
    assert created.status_code == 201
    assert created.headers["location"] == "/v1/devices/one"
    device = created.json()
    assert device.pop("created") == device.pop("updated") > 1_700_000_000_000
    assert device == new | {
        "behaviour": "iot_system.actors.device:DeviceActor",
        "enabled": True,
        "gateway": None,
    }

    patch = {"room": None, "labels": {"side": None, "wing": "b"}, "enabled": False}
    changed = (await served.admin.patch("/v1/devices/one", json=patch)).json()
    assert changed["room"] is None
    assert changed["labels"] == {"floor": "2", "wing": "b"}
    assert changed["enabled"] is False
    assert changed["behaviour"] == device["behaviour"]
    assert (await served.admin.get("/v1/devices/one")).json() == changed

    assert (await served.admin.delete("/v1/devices/one")).status_code == 204
    problem(await served.admin.get("/v1/devices/one"), 404, "not-found")


async def test_what_is_answered_ends_its_line_and_a_token_is_not_kept_on_the_way(served: Served) -> None:
    await served.register("one")
    issued = await served.admin.post("/v1/devices/one/credentials")
    assert issued.headers["cache-control"] == "no-store"
    answers = [
        issued,
        await served.admin.get("/v1/devices"),
        await served.admin.get("/v1/devices/two"),
        await served.admin.get("/health"),
        await served.admin.get("/nowhere"),
    ]
    assert [answer.text.count("\n") for answer in answers] == [1] * len(answers)
    assert all(answer.text.endswith("}\n") for answer in answers)
    assert (await served.admin.delete("/v1/devices/one")).content == b""


async def test_times_of_the_registry_are_whole_milliseconds(served: Served) -> None:
    created = (await served.admin.post("/v1/devices", json={"id": "one"})).json()
    assert created["created"] == int(created["created"])
    command = (await served.admin.post("/v1/devices/one/commands", json={"name": "stop"})).json()
    assert [command[name] for name in ("created", "updated", "expires")] == [
        int(command[name]) for name in ("created", "updated", "expires")
    ]
    assert command["expires"] - command["created"] == 60_000


async def test_an_id_that_exists_is_a_conflict(served: Served) -> None:
    await served.register("one")
    problem(await served.admin.post("/v1/devices", json={"id": "one"}), 409, "conflict")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "Object missing required field `id`"),
        ({"id": "one", "rooms": "x"}, "Object contains unknown field `rooms`"),
        ({"id": 5}, "id is 5: expected `str`, got `int`"),
        (
            {"id": "a b"},
            "id is \"a b\": it must be letters, digits, '.', '_' and '-', the first a letter or digit",
        ),
        ({"id": "a\n"}, "id 'a\\n' is not an id: "),
        ({"id": "x" * 129}, "expected `str` of length <= 128"),
        ({"id": "me"}, "id 'me' is a reserved word"),
        ({"id": "one", "room": "me"}, "room 'me' is a reserved word"),
        ({"id": "one", "room": ""}, 'room is "": '),
        (
            {"id": "one", "enabled": "yes"},
            'enabled is "yes": expected `bool`, got `str`',
        ),
        ({"id": "one", "behaviour": "os.system"}, 'behaviour is "os.system": it must be a class as module:Class'),
        (
            {"id": "one", "behaviour": "a:B\n"},
            "behaviour 'a:B\\n' has a character that cannot be printed",
        ),
        (
            {"id": "one", "labels": {"a=b": "c"}},
            "label 'a=b' must have 1 to 128 printable characters without '='",
        ),
        ({"id": "one", "labels": {"a": "\0"}}, "labels has a NUL character; text cannot hold it"),
        (
            {"id": "one", "labels": {str(n): "" for n in range(65)}},
            "labels has 65 entries; the limit is 64",
        ),
        (["one"], "Expected `object`, got `array`"),
    ],
)
async def test_a_bad_device_is_refused_with_the_field_the_rule_and_the_value(
    served: Served, body: Any, detail: str
) -> None:
    found = problem(await served.admin.post("/v1/devices", json=body), 400, "invalid-input")["detail"]
    assert detail in found
    assert not served.gateway.devices


@pytest.mark.parametrize("body", [{"id": "two"}, {"labels": None}, {"enabled": None}, {"behaviour": None}])
async def test_a_patch_changes_only_what_may_change(served: Served, body: dict[str, Any]) -> None:
    await served.register("one")
    before = served.gateway.devices["one"]
    problem(await served.admin.patch("/v1/devices/one", json=body), 400, "invalid-input")
    assert served.gateway.devices["one"] == before


async def test_devices_are_listed_in_pages_and_by_room_or_label(served: Served) -> None:
    ids = [f"device-{number:02}" for number in range(25)]
    for number, id_ in enumerate(ids):
        body = {
            "id": id_,
            "room": "office" if number % 2 else "hall",
            "labels": {"floor": str(number % 3)},
        }
        assert (await served.admin.post("/v1/devices", json=body)).status_code == 201
    found: list[str] = []
    cursor: str | None = None
    while cursor is not None or not found:
        params = {"limit": 10} | ({"cursor": cursor} if cursor else {})
        page = (await served.admin.get("/v1/devices", params=params)).json()
        found += [device["id"] for device in page["items"]]
        cursor = page["cursor"]
    assert found == ids
    for name, value, chosen in (("room", "office", ids[1::2]), ("label", "floor=2", ids[2::3])):
        page = (await served.admin.get("/v1/devices", params={name: value})).json()
        assert [device["id"] for device in page["items"]] == chosen


async def test_an_import_keeps_good_lines_and_reports_bad_ones_by_number(
    served: Served,
) -> None:
    await served.register("old")
    lines = [
        '{"id": "new-1", "room": "office"}',
        "",
        '{"id": "old"}',
        '{"id": ',
        '{"id": "new-1"}',
        '{"id": "me"}',
        '{"id": "new-2", "colour": "red"}',
        '{"id": "new-3"}',
    ]
    response = await served.admin.post("/v1/devices:import", content="\n".join(lines), headers=NDJSON)
    assert response.status_code == 200
    body = response.json()
    assert body["created"] == 2
    assert body["existing"] == ["old"]
    assert [(one["line"], one["type"]) for one in body["rejected"]] == [
        (4, "/problems/invalid-input"),
        (5, "/problems/conflict"),
        (6, "/problems/invalid-input"),
        (7, "/problems/invalid-input"),
    ]
    assert set(served.gateway.devices) == {"old", "new-1", "new-3"}


async def test_thousands_are_imported_at_once(served: Served) -> None:
    lines = b"\n".join(json.dumps({"id": f"d-{number}"}).encode() for number in range(5000))
    response = await served.admin.post("/v1/devices:import", content=lines, headers=NDJSON)
    assert response.json() == {"created": 5000, "existing": [], "rejected": []}


async def test_an_import_without_a_good_line_is_refused_with_all_reasons(
    served: Served,
) -> None:
    response = await served.admin.post("/v1/devices:import", content=b'{"id": 1}\nx\n', headers=NDJSON)
    body = problem(response, 400, "invalid-input")
    assert [one["line"] for one in body["errors"]] == [1, 2]
    problem(
        await served.admin.post("/v1/devices:import", content=b"\n\n", headers=NDJSON),
        400,
        "invalid-input",
    )


async def test_credentials_are_listed_without_their_tokens(served: Served) -> None:
    await served.admin.post("/v1/devices", json={"id": "one"})
    issued = (await served.admin.post("/v1/devices/one/credentials")).json()
    listed = (await served.admin.get("/v1/devices/one/credentials")).json()
    assert listed == {"items": [{"credential": issued["credential"], "created": 1_700_000_000_000}]}
    problem(await served.admin.get("/v1/devices/none/credentials"), 404, "not-found")


async def test_a_credential_of_an_unknown_device_cannot_be_made(served: Served) -> None:
    problem(await served.admin.post("/v1/devices/none/credentials"), 404, "not-found")


async def test_an_id_in_a_path_is_checked(served: Served) -> None:
    for id_ in ("a%20b", "x" * 129, "%00", "-a", "%C3%A9"):
        problem(await served.admin.get(f"/v1/devices/{id_}"), 400, "invalid-input")
