"""While the store says nothing, the owner of a device still knows what it said last, and no more than that."""

from __future__ import annotations

import asyncio

import pytest
from iot_system.domain import questions as q
from iot_system.domain.registry import Credential, DeviceAccess
from iot_system.errors import Unavailable
from iot_system.services.recollection import PATIENCE_S, RECOLLECTED_FOR_S
from iot_system.services.shard import CHANGE_ATTEMPTS

from tests.unit.services.lifeline import Halt, Times
from tests.unit.services.system import ALL, Process, System, ids_of

DEVICE, OTHER, NOBODY = ids_of(0)[:3]
AWAY = Unavailable("the store is away")
TOKEN = Credential(id="c", device=DEVICE, sha256=b"0" * 32, created_us=0)


def ever() -> Times:
    """For as long as anybody asks."""
    return Times(1_000_000, AWAY)


@pytest.fixture
async def process(system: System) -> Process:
    """Owns all; two devices are registered, and somebody has asked for the first."""
    process = await system.process("a", ALL)
    await system.register(DEVICE, OTHER)
    await access(system, DEVICE)
    return process


async def access(system: System, *ids: str) -> list[DeviceAccess]:
    return await system.asking.access(0, list(ids))


async def test_a_device_that_was_asked_for_lately_is_known_while_the_store_is_away(
    system: System, process: Process
) -> None:
    known = await access(system, DEVICE)
    process.line.before["access"] = ever()
    assert await access(system, DEVICE) == known
    with pytest.raises(Unavailable):
        await access(system, DEVICE, OTHER)


async def test_who_was_not_registered_lately_is_not_either_while_the_store_is_away(
    system: System, process: Process
) -> None:
    assert await access(system, NOBODY) == []
    process.line.before["access"] = ever()
    assert await access(system, NOBODY, DEVICE) == await access(system, DEVICE)


async def test_a_store_that_says_nothing_keeps_nobody_waiting_who_is_known(system: System, process: Process) -> None:
    known = await access(system, DEVICE)
    process.line.before["access"] = silent = Halt()
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    assert [await access(system, DEVICE) for _ in range(3)] == [known] * 3
    assert loop.time() - began_s == pytest.approx(PATIENCE_S, abs=0.01)
    assert silent.waiting == 1
    silent.released.set()
    del process.line.before["access"]
    assert await access(system, DEVICE, OTHER) == [*known, *await access(system, OTHER)]


async def test_what_was_known_is_forgotten_in_time(system: System, process: Process) -> None:
    process.line.before["access"] = ever()
    await asyncio.sleep(RECOLLECTED_FOR_S + 1)
    with pytest.raises(Unavailable):
        await access(system, DEVICE)


async def test_a_change_that_may_have_happened_leaves_nothing_known(system: System, process: Process) -> None:
    process.line.after["commit"] = Times(CHANGE_ATTEMPTS, AWAY)
    with pytest.raises(Unavailable):
        await system.asking.ask_owner(DEVICE, q.PatchDevice(DEVICE, {"enabled": False}, ""), type(None))
    process.line.before["access"] = ever()
    with pytest.raises(Unavailable):
        await access(system, DEVICE)


async def test_a_new_credential_is_known_at_once_or_nothing_is(system: System, process: Process) -> None:
    await system.asking.ask_owner(DEVICE, q.AddCredential(TOKEN, ""), type(None))
    process.line.before["access"] = ever()
    with pytest.raises(Unavailable):
        await access(system, DEVICE)


async def test_an_owner_of_before_that_is_one_again_knows_nothing_of_then(system: System, process: Process) -> None:
    await process.shard.release([0])
    await process.shard.claim([0])
    process.line.before["access"] = ever()
    with pytest.raises(Unavailable):
        await access(system, DEVICE)
