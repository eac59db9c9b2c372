"""Shards that die at any moment: what was acknowledged is done exactly once all the same, by seeds.

Devices of all partitions have readings, send some of them again, tell each other of them, and tell that on by timers;
users change desired states and give commands. Meanwhile shards die before a commit, after it, before they publish and
after it, answers get lost, and partitions have two owners for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from chart_harness.waiting import until
from iot_system.domain import questions as q
from iot_system.domain.commands import Command
from iot_system.domain.events import decode_events
from iot_system.domain.registry import Device
from iot_system.errors import Conflict, Unavailable
from iot_system.services import reading

from tests.unit.services import relaying
from tests.unit.services.simulated_loop import SimulatedClock, simulate
from tests.unit.services.system import ADMIN, ALL, DEADLINE_S, Process, System, ids_of, running, said

SEEDS = 200
ROUNDS = 4
DEVICES = [ids_of(number)[0] for number in ALL]
ROOM = ids_of(2, "room")[0]
DEADLY = ("commit", "publish", "publish_events")


class Disorder:
    """Two or three shards, of which one may die at any call."""

    def __init__(self, system: System, chance: random.Random) -> None:
        self.system = system
        self.chance = chance
        self.alive: list[Process] = []
        self.deaths = 0
        self.is_over = False

    async def one_more(self) -> None:
        process = await self.system.process(f"shard-{len(self.system.processes)}")
        for name in (*DEADLY, "load_devices", "fetch", "tell"):
            process.line.before[name] = lambda one=process, call=name: self.trouble(one, call)  # type: ignore[misc]
        for name in DEADLY:
            process.line.after[name] = lambda one=process, call=name: self.trouble(one, call)  # type: ignore[misc]
        self.alive.append(process)

    async def trouble(self, process: Process, call: str) -> None:
        if self.is_over:
            return
        luck = self.chance.random()
        if luck < 0.02 and call in DEADLY and len(self.alive) > 1 and process in self.alive:
            self.alive.remove(process)
            self.deaths += 1
            process.kill()
        elif luck < 0.1:
            raise Unavailable("no answer")
        elif luck < 0.3:
            await asyncio.sleep(self.chance.choice([0, 0.01, 0.3]))

    async def assign(self) -> None:
        """As a coordinator: nobody's partitions get an owner, sometimes one too many."""
        while True:
            if len(self.alive) < self.chance.choice([2, 3]):
                await self.one_more()
            owned = {number for process in self.alive for number in process.shard.owned}
            for number in ALL:
                if number not in owned or self.chance.random() < 0.02:
                    with contextlib.suppress(Unavailable, TimeoutError):
                        async with asyncio.timeout(5):
                            await self.chance.choice(self.alive).shard.claim([number])
            await asyncio.sleep(0.2)

    async def end(self) -> None:
        """From now on one shard owns all, and nothing goes wrong."""
        self.is_over = True
        for process in self.alive:
            await process.shard.release(ALL)
        await self.alive[0].shard.claim(ALL)


async def say(system: System, device: str, time: int) -> None:
    """Until it is durable."""
    while True:
        with contextlib.suppress(Unavailable):
            if await system.gateway.ingest(ADMIN, said(device, time)) == [None]:
                return


async def desire(system: System, device: str, number: int) -> None:
    """The ``number``-th change, until it is made; who hears no answer asks again, and meets the version it made."""
    while True:
        with contextlib.suppress(Unavailable):
            question = q.PatchDesired(device, {"n": number}, if_version=number - 1)
            with contextlib.suppress(Conflict):  # it was made already; the end shows that it was made once
                await system.asking.ask_owner(device, question, q.DesiredView)
            return


async def command(system: System, device: str, number: int) -> None:
    """Until it is given."""
    now_us = SimulatedClock.EPOCH_US
    end_us = now_us + 86_400_000_000
    given = Command(id=f"c{number}", device=device, name="n", created_us=now_us, updated_us=now_us, expires_us=end_us)
    while True:
        with contextlib.suppress(Unavailable):
            await system.asking.ask_owner(device, q.PutCommand(given), Command)
            return


async def live(system: System, device: str, chance: random.Random) -> None:
    """What happens to one device, in this order."""
    for number in range(1, ROUNDS + 1):
        await asyncio.gather(
            say(system, device, number), desire(system, device, number), command(system, device, number)
        )
        if chance.random() < 0.5:
            again = chance.randint(1, number)
            await asyncio.gather(*(say(system, device, one) for one in range(again, number + 1)))
        await asyncio.sleep(chance.choice([0, 0.1, 1]))


async def heard(system: System, device: str, name: str) -> list[int]:
    (_, state, _) = (await system.store.load_devices([device]))[device]
    return sorted(state.extra.get(name, []))


async def run(seed: int) -> int:
    chance = random.Random(seed)
    async with running() as system:
        disorder = Disorder(system, chance)
        first = await system.process("first", ALL)
        for number, id_ in enumerate(DEVICES):
            to = DEVICES[(number + 1) % len(DEVICES)]
            registered = Device(id=id_, room=ROOM, behaviour=relaying.NAME, labels={"to": to})
            await system.asking.ask_owner(id_, q.PutDevices([registered]), q.Registered)
        await first.shard.release(ALL)
        assigning = asyncio.create_task(disorder.assign())
        await asyncio.gather(*(live(system, device, chance) for device in DEVICES))
        assigning.cancel()
        await asyncio.gather(assigning, return_exceptions=True)
        await disorder.end()

        all_times = list(range(1, ROUNDS + 1))
        await system.counted(ROOM, len(DEVICES) * ROUNDS)
        for device in DEVICES:
            for name in ("first", "second"):

                async def is_heard(device: str = device, name: str = name) -> bool:
                    return len(await heard(system, device, name)) >= ROUNDS

                await until(is_heard, within_s=DEADLINE_S, why=f"{device} did not hear all")
        await system.settled()
        for device in DEVICES:
            assert await system.history(device) == all_times
            assert await heard(system, device, "first") == all_times
            assert await heard(system, device, "second") == all_times
            (_, state, commands) = (await system.store.load_devices([device]))[device]
            assert (state.desired, state.desired_version) == ({"n": ROUNDS}, ROUNDS)
            assert sorted(one.id for one in commands) == [f"c{number}" for number in all_times]
        assert await system.count(ROOM) == len(DEVICES) * ROUNDS
        events = [event for data in system.stream.events.messages.values() for event in decode_events(data)]
        told = {(one.device, one.data["id"]) for one in events if one.kind == "command"}
        assert told == {(device, f"c{number}") for device in DEVICES for number in all_times}
        return disorder.deaths


@pytest.mark.parametrize("is_ahead", [False, True])
@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_whoever_dies_everything_is_done_exactly_once(
    first: int, is_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each commit has next to nothing, and what follows is always done while it is under way."""
    if is_ahead:
        monkeypatch.setattr(reading, "MUCH_BYTES", 0)
        monkeypatch.setattr(reading, "BATCH_FRAMES", 2)
    deaths = [simulate(run(seed)) for seed in range(first, first + 20)]
    assert sum(deaths) > 0, "nobody died: the test tests nothing"
