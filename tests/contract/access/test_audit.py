"""Each change leaves one entry that says who changed what, and no secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.contract.access.routes import ROUTES
from tests.harness.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Change:
    """A request that changes ``target``, and the ``action`` that the log knows it by."""

    operation: str
    method: str
    path: str
    action: str
    target: str
    body: Any = None


_DEVICE, _ROOM = "/v1/devices/audited", "/v1/rooms/audited-room"
CHANGES = (
    Change("createDevice", "POST", "/v1/devices", "put_device", "devices/audited", {"id": "audited"}),
    Change("importDevices", "POST", "/v1/devices:import", "put_device", "devices/imported", {"id": "imported"}),
    Change("patchDevice", "PATCH", _DEVICE, "patch_device", "devices/audited", {"labels": {"a": "b"}}),
    Change("issueToken", "POST", f"{_DEVICE}/credentials", "add_credential", "devices/audited"),
    Change("revokeCredential", "DELETE", _DEVICE + "/credentials/{credential}", "delete_credential", "devices/audited"),
    Change("patchDesired", "PATCH", f"{_DEVICE}/twin/desired", "patch_desired", "devices/audited", {"on": True}),
    Change("sendCommand", "POST", f"{_DEVICE}/commands", "put_command", "devices/audited", {"name": "n", "id": "c1"}),
    Change("cancelCommand", "DELETE", f"{_DEVICE}/commands/c1", "cancel_command", "devices/audited"),
    Change("putRoom", "PUT", _ROOM, "put_room", "rooms/audited-room", {}),
    Change("patchRoom", "PATCH", _ROOM, "patch_room", "rooms/audited-room", {"stale_after_s": 60}),
    Change("patchRoomDesired", "PATCH", f"{_ROOM}/twin/desired", "patch_desired", "rooms/audited-room", {"on": 1}),
    Change("deleteRoom", "DELETE", _ROOM, "delete_room", "rooms/audited-room"),
    Change("deleteDevice", "DELETE", _DEVICE, "delete_device", "devices/audited"),
    Change("issueApiToken", "POST", "/v1/tokens", "put_token", "tokens/{id}", {"name": "n", "role": "viewer"}),
    Change("revokeApiToken", "DELETE", "/v1/tokens/{id}", "delete_token", "tokens/{id}"),
)
OF_DEVICES = {"sendTelemetry", "sendBulkTelemetry", "answerCommand"}
"""What devices send is no change by somebody."""
FAN_OUT = {"sendRoomCommand"}
"""Leaves an entry for each device, as its own commands do."""


async def test_each_route_that_changes_something_is_looked_at() -> None:
    changing = {operation for operation, call in ROUTES.items() if call.method != "GET"}
    assert {change.operation for change in CHANGES} | OF_DEVICES | FAN_OUT == changing


async def entries(client: httpx.AsyncClient, **selection: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get("/v1/audit", params=selection | {"limit": "1000"})).json()["items"]
    return items


async def test_each_change_leaves_one_entry_with_who_and_what_and_no_secret(system: System) -> None:
    admin = system.pod.admin
    id_, token = await system.pod.api_token("admin")
    by = f"admin:api.{id_}"
    names: dict[str, str] = {}
    secrets = [token]
    async with system.pods[1].client(token) as client:
        for number, change in enumerate(CHANGES, 1):
            path = change.path.format_map(names)
            response = await client.request(change.method, path, json=change.body)
            assert response.status_code < 300, response.text
            if response.content:
                answer = response.json()
                names |= {key: answer[key] for key in ("credential", "id") if key in answer}
                secrets += [answer["token"]] if "token" in answer else []
            found = await entries(admin, by=by)
            assert len(found) == number, change.operation
            newest = found[0]
            assert (newest["action"], newest["target"]) == (change.action, change.target.format_map(names))
            assert newest in await entries(admin, target=newest["target"])
        log = str(await entries(admin))
    assert len(secrets) == 3
    for secret in secrets:
        assert secret.rpartition(".")[2] not in log


@pytest.mark.usefixtures("callers")
async def test_a_command_to_a_room_leaves_an_entry_for_each_of_its_devices(system: System) -> None:
    id_, token = await system.pod.api_token("operator")
    for device in ("in-1", "in-2"):
        await system.pod.admin.post("/v1/devices", json={"id": device, "room": "annexe"})
    async with system.pod.client(token) as client:
        assert (await client.post("/v1/rooms/annexe/commands", json={"name": "restart"})).status_code == 201
    found = await entries(system.pod.admin, by=f"operator:api.{id_}")
    assert sorted(entry["target"] for entry in found) == ["devices/in-1", "devices/in-2"]


async def test_what_is_refused_or_changes_nothing_leaves_no_entry(
    system: System, callers: dict[str, httpx.AsyncClient]
) -> None:
    before = await entries(system.pod.admin)
    for name in ("viewer", "device", "nobody", "admin out of scope"):
        await callers[name].delete("/v1/devices/one")
        await callers[name].patch("/v1/devices/one/twin/desired", json={"on": 1})
    await callers["admin"].patch("/v1/devices/one", json={"labels": {"=": "not a name"}})
    await callers["admin"].delete("/v1/devices/missing")
    await callers["admin"].post("/v1/devices", json={"id": "one"})
    assert await entries(system.pod.admin) == before
