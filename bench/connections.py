"""Many clients that are connected and silent: what each takes of the API's memory, and whether ingest suffers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
from iot_system.errors import Unavailable

from bench import figures
from bench.context import Context, ground
from bench.figures import Run
from bench.programs import program
from bench.senders.idle import Idlers
from bench.servers import System
from bench.sides.ours import OurSide, issue_tokens, register_devices
from bench.turns import Turns
from bench.usage import API, resident_bytes
from bench.workload import DEVICES

CONNECTIONS = 10_000
"""All together, those that send included: what one API process allows."""
ALONE, AMONG = "without idle clients", "with idle clients"
WARM_UP_STEPS = 20
SETTLE_S = 1.0
FIRST = 100


class Memory(msgspec.Struct, frozen=True):
    """The API process's resident bytes before so many clients came, and when all were there."""

    idle: int
    before: int
    after: int


class Connections(msgspec.Struct, frozen=True):
    """``memory`` is that of an API process in which nothing was free that somebody else had used."""

    memory: Memory
    sides: list[str]
    runs: list[Run]


async def connections(context: Context) -> Connections:
    """Measure. Raises `Unavailable` where a server fails, or a client is cut off."""
    idle = max(1, min(CONNECTIONS, context.devices) - DEVICES)
    runs: list[Run] = []
    async with ground() as on:
        system = System(on.children, on.folder, await on.postgres.create("ours"))
        await system.start()
        await register_devices(system, DEVICES + idle)
        tokens = await issue_tokens(system, DEVICES + idle)
        context.tell(f"{DEVICES + idle:,} devices are registered")
        await system.restart_api()
        async with _idle(system, tokens[DEVICES : DEVICES + FIRST]):
            pass  # so that everything is loaded
        async with _idle(system, tokens[DEVICES:]) as memory:
            context.tell(f"{memory.idle:,} clients take {memory.after - memory.before:,} bytes")
        side = OurSide(system, "mqtt", tokens[:DEVICES])
        steps = max(1, context.messages // DEVICES)
        turns = Turns(on.postgres, steps=WARM_UP_STEPS + 2 * context.rounds * steps)
        await turns.take(side, WARM_UP_STEPS, round_=-1)
        for round_ in range(context.rounds):
            for name in figures.order([ALONE, AMONG], round_):
                async with _idle(system, tokens[DEVICES:]) if name == AMONG else contextlib.nullcontext():
                    run = await turns.take(side, steps, round_=round_)
                runs.append(msgspec.structs.replace(run, side=name))
                context.tell(f"round {round_ + 1}  {name:<22} {run.rate:>9,.0f} readings/s")
    return Connections(memory=memory, sides=[ALONE, AMONG], runs=runs)


@contextlib.asynccontextmanager
async def _idle(system: System, passwords: list[str]) -> AsyncIterator[Memory]:
    """Connected meanwhile, all of them."""
    (before,) = resident_bytes(API)
    async with program("bench.senders.idle") as idlers:
        await idlers.ask(Idlers(system.mqtt_port, DEVICES, passwords), type(None))
        await asyncio.sleep(SETTLE_S)  # what their coming has set off is not what is measured
        (after,) = resident_bytes(API)
        yield Memory(len(passwords), before, after)
        if (left := await idlers.ask(None, int)) != len(passwords):
            raise Unavailable(f"{len(passwords) - left} of {len(passwords)} idle clients were cut off")
