"""Changes of the registry: what the store has is what actors and gateways see, also where its answer got lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from iot_system.domain.registry import Device
from iot_system.errors import NotFound, Unauthenticated, Unavailable

from tests.unit.services.lifeline import Times
from tests.unit.services.system import ADMIN, ALL, Process, System, ids_of, running, said

DEVICE = ids_of(0)[0]
LOST = Unavailable("the answer got lost")


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running() as one:
        yield one


@pytest.fixture
async def process(system: System) -> Process:
    """Owns all; the device is registered, its actor is in memory, and the gateway knows it."""
    process = await system.process("a", ALL)
    await system.register(DEVICE)
    await system.say(DEVICE, 1)
    await system.settled()
    await system.gateway.device(DEVICE)
    return process


async def test_a_change_whose_answer_got_lost_is_what_everybody_sees(system: System, process: Process) -> None:
    process.line.after["save_device"] = Times(1, LOST)
    with pytest.raises(Unavailable):
        await system.gateway.patch_device(DEVICE, {"room": "office", "enabled": False})
    view = await system.gateway.device(DEVICE)
    assert (view.device.room, view.device.enabled) == ("office", False)
    assert view.state.latest["t"].value == 1, "its state is the committed one"
    (problem,) = await system.gateway.ingest(ADMIN, said(DEVICE, 2))
    assert "disabled" in str(problem)


async def test_a_removal_whose_answer_got_lost_leaves_no_actor(system: System, process: Process) -> None:
    process.line.after["delete_device"] = Times(1, LOST)
    with pytest.raises(Unavailable):
        await system.gateway.delete_device(DEVICE)
    with pytest.raises(NotFound):
        await system.gateway.device(DEVICE)
    (problem,) = await system.gateway.ingest(ADMIN, said(DEVICE, 2))
    assert isinstance(problem, NotFound)


async def test_a_revocation_whose_answer_got_lost_keeps_the_token_out_at_once(system: System, process: Process) -> None:
    issued = await system.gateway.issue_token(DEVICE)
    assert (await system.gateway.authenticate(issued.token)).id == DEVICE
    process.line.after["delete_credential"] = Times(1, LOST)
    with pytest.raises(Unavailable):
        await system.gateway.revoke_credential(DEVICE, issued.credential)
    with pytest.raises(Unauthenticated):
        await system.gateway.authenticate(issued.token)


async def test_a_registration_whose_answer_got_lost_is_known_at_once(system: System, process: Process) -> None:
    other = ids_of(0)[1]
    (problem,) = await system.gateway.ingest(ADMIN, said(other, 1))
    assert isinstance(problem, NotFound), "and remembered as such for a while"
    process.line.after["put_devices"] = Times(1, LOST)
    with pytest.raises(Unavailable):
        await system.gateway.create_device(Device(id=other))
    await system.say(other, 1)
