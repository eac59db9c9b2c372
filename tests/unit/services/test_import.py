"""An import through HTTP, gateway and shards: a bad line, or a partition that is away, costs its own lines only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from iot_system.adapters.http.app import create_app
from iot_system.domain.registry import Device
from iot_system.errors import InvalidInput
from iot_system.services import gateway as gateway_module
from iot_system.services.gateway import ActorGateway

from tests.unit.http.serving import SwitchableHealth
from tests.unit.services.memory_log import MemoryLog
from tests.unit.services.memory_requests import MemoryRequests
from tests.unit.services.simulated_loop import SimulatedClock
from tests.unit.services.system import ALL, PARTITIONS, System, ids_of

TOKEN = "the-admin-token"
NO_BEHAVIOUR = "nowhere.to_be_found:Behaviour"


async def import_lines(system: System, lines: Sequence[dict[str, Any]]) -> httpx.Response:
    gateway = ActorGateway(
        system.stream,
        MemoryRequests(system.board),
        SimulatedClock(),
        events=MemoryLog(),
        readings=MemoryLog(),
        partitions=PARTITIONS,
        admin_token=TOKEN,
    )
    transport = httpx.ASGITransport(create_app(gateway, SwitchableHealth()))  # type: ignore[arg-type]  # its own types
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        return await client.post("/v1/devices:import", content="\n".join(json.dumps(line) for line in lines))


async def test_a_behaviour_that_cannot_be_loaded_costs_its_own_line(system: System) -> None:
    await system.process("a", ALL)
    good, bad, known = ids_of(0)[:3]
    await system.register(known)
    lines = [{"id": "me"}, {"id": good}, {"id": bad, "behaviour": NO_BEHAVIOUR}, {"id": known}]
    response = await import_lines(system, lines)
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["created"], body["existing"]) == (1, [known])
    assert [(one["line"], one["type"]) for one in body["rejected"]] == [
        (1, "/problems/invalid-input"),
        (3, "/problems/invalid-input"),
    ]
    assert NO_BEHAVIOUR in body["rejected"][1]["detail"]
    assert set(await system.store.load_devices([good, bad])) == {good}


async def test_a_partition_that_nobody_owns_costs_the_lines_of_its_devices(system: System) -> None:
    await system.process("a", [0, 1])
    here, away, there = ids_of(0)[0], ids_of(2)[0], ids_of(1)[0]
    body = (await import_lines(system, [{"id": here}, {"id": away}, {"id": there}])).json()
    assert body["created"] == 2
    assert [(one["line"], one["type"]) for one in body["rejected"]] == [(2, "/problems/unavailable")]
    assert set(await system.store.load_devices([here, away, there])) == {here, there}


async def test_where_nothing_could_be_registered_now_the_answer_says_when_to_try_again(system: System) -> None:
    response = await import_lines(system, [{"id": id_} for id_ in ids_of(2)[:2]])
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert [one["line"] for one in response.json()["errors"]] == [1, 2]


async def test_one_device_alone_is_refused_with_its_own_reason(system: System) -> None:
    await system.process("a", ALL)
    with pytest.raises(InvalidInput, match=NO_BEHAVIOUR):
        await system.gateway.create_device(Device(id=ids_of(0)[0], behaviour=NO_BEHAVIOUR))


async def test_many_devices_of_one_partition_come_in_several_questions(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system.process("a", ALL)
    monkeypatch.setattr(gateway_module, "REGISTER_AT_ONCE", 2)
    ids = ids_of(0)[:5]
    await system.register(*ids[3:4])
    assert (await system.gateway.import_devices([Device(id=id_) for id_ in ids])).existing == ids[3:4]
    assert set(await system.store.load_devices(ids)) == set(ids)
