"""Commands: given once, awaited, cancelled, taken and answered; one status for each device of a room."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.domain.signals import CommandAnswer
from iot_system.errors import Overloaded

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

COMMANDS = "/v1/devices/one/commands"


@pytest.fixture
async def office(served: Served) -> Served:
    await served.register("one", "two", room="office")
    return served


async def test_a_command_is_given_and_read_with_its_times_and_who_gave_it(office: Served) -> None:
    response = await office.admin.post(COMMANDS, json={"name": "restart", "payload": {"delay": 3}, "id": "c1"})
    assert response.status_code == 201
    assert response.headers["location"] == f"{COMMANDS}/c1"
    command = response.json()
    assert command["expires"] - command["created"] == 60_000
    assert command["created"] == command["updated"] > 1_700_000_000_000
    assert {name: command[name] for name in ("id", "device", "room", "name", "payload", "status", "created_by")} == {
        "id": "c1",
        "device": "one",
        "room": None,
        "name": "restart",
        "payload": {"delay": 3},
        "status": "queued",
        "created_by": "admin:admin",
    }
    assert (await office.admin.get(f"{COMMANDS}/c1")).json() == command


async def test_a_command_without_an_id_gets_one(office: Served) -> None:
    given = [(await office.admin.post(COMMANDS, json={"name": "ping"})).json()["id"] for _ in range(2)]
    assert len(set(given)) == 2


async def test_the_same_id_again_is_the_same_command_and_another_under_it_a_conflict(office: Served) -> None:
    first = await office.admin.post(COMMANDS, json={"name": "ping", "id": "c1", "payload": 1})
    again = await office.admin.post(COMMANDS, json={"name": "ping", "id": "c1", "payload": 1})
    assert again.json() == first.json()
    problem(await office.admin.post(COMMANDS, json={"name": "ping", "id": "c1", "payload": 2}), 409, "conflict")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "missing required field `name`"),
        ({"name": "a b"}, 'name is "a b": '),
        ({"name": "a/b"}, 'name is "a/b": '),
        ({"name": "me"}, "name 'me' is a reserved word"),
        ({"name": "ping", "id": "x y"}, 'id is "x y": '),
        ({"name": "ping", "timeout_s": 0}, "timeout_s is 0: expected `float` > 0"),
        ({"name": "ping", "timeout_s": 1e9}, "timeout_s is 1000000000"),
        ({"name": "ping", "expires_at": 1000}, "expires_at is 1000.0, which is not in the future"),
        ({"name": "ping", "expires_at": 1e300}, "which is not in the future"),
        ({"name": "ping", "expires_at": 4e12}, "the command expires in more than 30 days"),
        ({"name": "ping", "expires_at": 4e12, "timeout_s": 1}, "timeout_s and expires_at are both given"),
        ({"name": "ping", "what": 1}, "unknown field `what`"),
    ],
)
async def test_a_bad_command_is_refused_with_the_field_the_rule_and_the_value(
    office: Served, body: dict[str, Any], detail: str
) -> None:
    found = problem(await office.admin.post(COMMANDS, json=body), 400, "invalid-input")["detail"]
    assert detail.lower() in found.lower()


async def test_a_payload_over_its_limit_is_too_large(office: Served) -> None:
    body = {"name": "ping", "payload": "x" * 70_000}
    assert "65536" in problem(await office.admin.post(COMMANDS, json=body), 413, "too-large")["detail"]


async def test_a_command_that_is_not_there_is_not_found(office: Served) -> None:
    for response in (
        await office.admin.get(f"{COMMANDS}/none"),
        await office.admin.delete(f"{COMMANDS}/none"),
        await office.admin.get("/v1/devices/none/commands"),
        await office.admin.post("/v1/devices/none/commands", json={"name": "ping"}),
        await office.admin.get("/v1/rooms/office/commands/none"),
        await office.admin.post("/v1/rooms/none/commands", json={"name": "ping"}),
    ):
        problem(response, 404, "not-found")


async def test_a_command_is_cancelled_once_and_the_answer_tells(office: Served) -> None:
    await office.admin.post(COMMANDS, json={"name": "ping", "id": "c1"})
    cancelled = (await office.admin.delete(f"{COMMANDS}/c1")).json()
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "by admin:admin")
    assert (await office.admin.delete(f"{COMMANDS}/c1")).json() == cancelled


async def test_a_device_that_speaks_http_takes_its_commands_and_answers_them(office: Served) -> None:
    device = await office.as_device("one")
    await office.admin.post(COMMANDS, json={"name": "ping", "id": "c1"})
    seen = (await office.admin.get(COMMANDS, params={"status": "pending"})).json()["items"]
    assert [one["status"] for one in seen] == ["queued"], "an operator's look is no delivery"
    taken = (await device.get("/v1/devices/me/commands", params={"status": "pending", "wait_s": 5})).json()["items"]
    assert [(one["id"], one["status"]) for one in taken] == [("c1", "delivered")]
    answer = {"status": "succeeded", "payload": {"pong": True}}
    accepted = await device.post("/v1/devices/me/commands/c1/result", json=answer)
    assert (accepted.status_code, accepted.json()) == (202, {"accepted": 1})
    done = (await office.admin.get(f"{COMMANDS}/c1", params={"wait_s": 60})).json()
    assert (done["status"], done["result"]) == ("succeeded", {"pong": True})
    assert office.gateway.commands.waits == [0.0, 5.0, 60.0]
    (signal,) = office.gateway.signals
    assert isinstance(signal, CommandAnswer)
    assert signal.time_us > 0


@pytest.mark.parametrize(
    ("body", "name", "status"),
    [
        ({"status": "cancelled"}, "invalid-input", 400),
        ({}, "invalid-input", 400),
        ({"status": "failed", "payload": "x" * 70_000}, "too-large", 413),
    ],
)
async def test_a_bad_answer_is_refused(office: Served, body: dict[str, Any], name: str, status: int) -> None:
    problem(await office.admin.post(f"{COMMANDS}/c1/result", json=body), status, name)
    assert office.gateway.signals == []


@pytest.mark.parametrize("wait_s", ["-1", "60.5", "nan", "inf", "soon"])
async def test_a_wait_out_of_bounds_is_refused(office: Served, wait_s: str) -> None:
    for path in (COMMANDS, f"{COMMANDS}/c1", "/v1/rooms/office/commands/c1"):
        detail = problem(await office.admin.get(path, params={"wait_s": wait_s}), 400, "invalid-input")["detail"]
        assert detail.startswith(f"wait_s is '{wait_s}'")


async def test_commands_are_listed_by_status_and_in_pages(office: Served) -> None:
    for number in range(3):
        await office.admin.post(COMMANDS, json={"name": "ping", "id": f"c{number}"})
    await office.admin.delete(f"{COMMANDS}/c1")
    listed = (await office.admin.get(COMMANDS, params={"status": "cancelled"})).json()
    assert ([one["id"] for one in listed["items"]], listed["cursor"]) == (["c1"], None)
    first = (await office.admin.get(COMMANDS, params={"limit": 2})).json()
    second = (await office.admin.get(COMMANDS, params={"limit": 2, "cursor": first["cursor"]})).json()
    assert len(first["items"]) + len(second["items"]) == 3
    problem(await office.admin.get(COMMANDS, params={"status": "done"}), 400, "invalid-input")


async def test_a_rooms_command_tells_of_each_device_and_of_those_that_refused(office: Served) -> None:
    await office.admin.post("/v1/devices/two/commands", json={"name": "other", "id": "c1"})
    response = await office.admin.post("/v1/rooms/office/commands", json={"name": "ping", "id": "c1"})
    assert response.status_code == 201
    assert response.headers["location"] == "/v1/rooms/office/commands/c1"
    given = response.json()
    assert [(one["device"], one["room"], one["status"]) for one in given["commands"]] == [("one", "office", "queued")]
    assert given["refused"] == {"two": "device 'two' has another command 'c1'"}
    found = (await office.admin.get("/v1/rooms/office/commands/c1")).json()
    assert found == {"id": "c1", "room": "office", "commands": given["commands"], "refused": {}}


async def test_where_every_device_of_a_room_refused_the_answer_is_a_refusal(office: Served) -> None:
    for device in ("one", "two"):
        await office.admin.post(f"/v1/devices/{device}/commands", json={"name": "other", "id": "c1"})
    response = await office.admin.post("/v1/rooms/office/commands", json={"name": "ping", "id": "c1"})
    assert len(problem(response, 409, "conflict")["errors"]) == 2


async def test_a_room_without_devices_takes_no_command(served: Served) -> None:
    await served.admin.put("/v1/rooms/empty", json={})
    problem(await served.admin.post("/v1/rooms/empty/commands", json={"name": "ping"}), 409, "conflict")


async def test_a_refusal_of_the_answer_reaches_the_device(office: Served) -> None:
    device = await office.as_device("one")
    office.gateway.refusals["one"] = Overloaded("the stream is full", after_s=5)
    response = await device.post("/v1/devices/me/commands/c1/result", json={"status": "failed"})
    problem(response, 429, "overloaded")
    assert response.headers["retry-after"] == "5"
