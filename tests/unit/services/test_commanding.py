"""Who waits for a command misses nothing, whenever it happens, and asks nobody meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.domain.access import Principal
from iot_system.domain.commands import Command
from iot_system.domain.events import EVENTS
from iot_system.domain.registry import Room
from iot_system.domain.signals import CommandAnswer
from iot_system.errors import Conflict, NotFound, PreconditionFailed, TooLarge
from iot_system.ports.commanding import WAIT_LIMIT_S, NewCommand
from iot_system.services import commanding

from tests.unit.services.simulated_loop import simulate
from tests.unit.services.system import ALL, System, ids_of, running

DEVICE = "d"


def ping(id_: str = "c", *, timeout_s: float = 600.0, system: System) -> NewCommand:
    now_us = system.gateway.now_us()
    return NewCommand(id=id_, name="ping", created_us=now_us, expires_us=now_us + round(timeout_s * 1e6), by="t")


async def answer(system: System, id_: str = "c") -> None:
    """As the device: durable, applied a little later."""
    signal = CommandAnswer(DEVICE, id_, "succeeded", 7, system.gateway.now_us())
    assert await system.gateway.ingest(Principal("device", DEVICE), [signal]) == [None]


def looks(system: System) -> int:
    """How often somebody was asked how far a command is."""
    return sum(b"GetCommand" in data for _, data in system.requests.asked)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running() as one:
        await one.process("a", ALL)
        await one.register(DEVICE)
        yield one


async def test_a_payload_that_is_too_much_for_all_devices_of_a_room_together_reaches_none(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanding, "FAN_OUT_LIMIT", 300)
    devices = [f"member-{number}" for number in range(4)]
    await system.register(*devices, room="hall")
    fitting = msgspec.structs.replace(ping("fitting", system=system), payload="x" * 70)
    assert len((await system.gateway.commands.put_in_room("hall", fitting)).commands) == 4
    too_large = msgspec.structs.replace(ping("too-large", system=system), payload="x" * 80)
    with pytest.raises(TooLarge, match="payload for 4 devices has 328 bytes as JSON; the limit is 300"):
        await system.gateway.commands.put_in_room("hall", too_large)
    for device in devices:
        with pytest.raises(NotFound):
            await system.gateway.commands.get(device, "too-large")


async def test_who_waits_is_told_at_once_and_nobody_is_asked_meanwhile(system: System) -> None:
    commands = system.gateway.commands
    await commands.put(DEVICE, ping(system=system))
    waiting = asyncio.create_task(commands.get(DEVICE, "c", wait_s=50))
    await asyncio.sleep(30)
    assert looks(system) == 1
    started_s = asyncio.get_running_loop().time()
    await answer(system)
    assert ((await waiting).status, (await waiting).result) == ("succeeded", 7)
    assert asyncio.get_running_loop().time() - started_s < 5
    assert looks(system) == 1


async def test_who_waits_is_told_while_the_broker_still_stores_the_event(system: System) -> None:
    commands, stored = system.gateway.commands, asyncio.Event()
    await commands.put(DEVICE, ping(system=system))
    waiting = asyncio.create_task(commands.get(DEVICE, "c", wait_s=50))
    await asyncio.sleep(1)

    async def stuck(partition: int, _: bytes) -> None:
        if partition == EVENTS:
            await stored.wait()

    system.stream.before = stuck
    await answer(system)
    assert ((await waiting).status, (await waiting).result) == ("succeeded", 7)
    assert system.stream.events.overhearing == []
    stored.set()


async def test_a_command_whose_id_was_made_for_it_is_not_looked_for(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[str] = []
    look = system.store.commands

    async def commands(keys: Sequence[tuple[str, str]]) -> list[Command]:
        looked_for.extend(id_ for _, id_ in keys)
        return await look(keys)

    monkeypatch.setattr(system.store, "commands", commands)
    put = system.gateway.commands.put
    await put(DEVICE, msgspec.structs.replace(ping("made", system=system), is_fresh=True))
    await put(DEVICE, ping("given", system=system))
    assert looked_for == ["given"]


async def test_a_wait_ends_in_time_with_what_there_is(system: System) -> None:
    commands = system.gateway.commands
    await commands.put(DEVICE, ping(system=system))
    started_s = asyncio.get_running_loop().time()
    assert (await commands.get(DEVICE, "c", wait_s=10_000)).status == "queued"
    assert asyncio.get_running_loop().time() - started_s == pytest.approx(WAIT_LIMIT_S, abs=0.5)
    assert await commands.take("d", wait_s=0) != []


async def test_a_lost_stream_of_events_costs_who_waits_a_question_and_nothing_else(system: System) -> None:
    commands = system.gateway.commands
    await commands.put(DEVICE, ping(system=system))
    waiting = asyncio.create_task(commands.get(DEVICE, "c", wait_s=50))
    await asyncio.sleep(1)
    system.stream.events.is_away = True
    await answer(system)
    await system.settled()
    system.stream.events.replace()
    system.stream.events.is_away = False
    assert (await waiting).status == "succeeded"


async def test_a_device_that_waits_takes_the_command_that_comes(system: System) -> None:
    commands = system.gateway.commands
    taking = asyncio.create_task(commands.take(DEVICE, wait_s=50))
    await asyncio.sleep(5)
    await commands.put(DEVICE, ping(system=system))
    assert [(one.id, one.status) for one in await taking] == [("c", "delivered")]


async def test_a_version_that_is_not_the_one_now_is_a_precondition_that_failed(system: System) -> None:
    gateway = system.gateway
    await gateway.patch_desired(DEVICE, {"a": 1}, if_version=None, by="t")
    with pytest.raises(PreconditionFailed):
        await gateway.patch_desired(DEVICE, {"a": 2}, if_version=0, by="t")
    await gateway.rooms.put(Room(id="r"), by="t")
    with pytest.raises(PreconditionFailed):
        await gateway.rooms.patch_desired("r", {"a": 2}, if_version=7, by="t")


async def test_commands_of_nobody_and_of_an_empty_room_are_refused(system: System) -> None:
    commands = system.gateway.commands
    with pytest.raises(NotFound):
        await commands.page("nobody", status=None, limit=1, cursor=None)
    with pytest.raises(NotFound):
        await commands.put_in_room("nowhere", ping(system=system))
    await system.gateway.rooms.put(Room(id="r"), by="t")
    with pytest.raises(Conflict):
        await commands.put_in_room("r", ping(system=system))


async def test_a_partition_without_an_owner_costs_a_rooms_command_its_devices_only() -> None:
    async with running() as system:
        process = await system.process("a", ALL)
        here, away = ids_of(0)[0], ids_of(1)[0]
        await system.register(here, away, room="r")
        await process.shard.release([1])
        given_ = await system.gateway.commands.put_in_room("r", ping(system=system))
        assert [one.device for one in given_.commands] == [here]
        assert list(given_.refused) == [away]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whenever_the_end_comes_every_waiter_hears_of_it(seed: int) -> None:
    chance = random.Random(seed)

    async def wait(system: System) -> Command:
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.1]))
        return await system.gateway.commands.get(DEVICE, "c", wait_s=50)

    async def run() -> None:
        async with running() as system:
            await system.process("a", ALL)
            await system.register(DEVICE)
            await system.gateway.commands.put(DEVICE, ping(system=system))
            waiting = [asyncio.create_task(wait(system)) for _ in range(5)]
            await asyncio.sleep(chance.choice([0, 0.001, 0.05]))
            await answer(system)
            assert {one.status for one in await asyncio.gather(*waiting)} == {"succeeded"}

    simulate(run())
