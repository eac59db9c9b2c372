"""Ingest: from the device's first byte to the last committed row, ours by REST and MQTT against the naive way.

All sides run on real servers on this machine, into one Postgres server (a database each) with fsync and synchronous
commits. Within a round each side has its turn, with messages of the same devices and values; the timestamps go on from
turn to turn, so that nothing is a message sent again. Rates are compared, so a slow side may have fewer messages.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from iot_system.commands.processes import Children

from bench import figures
from bench.figures import Run
from bench.machine import Machine, this_machine
from bench.measure import measure
from bench.postgres import Postgres, running_postgres
from bench.servers import System
from bench.sides.naive import NaiveSide, naive_side
from bench.sides.ours import OurSide, register_devices
from bench.sides.side import Side
from bench.versions import versions
from bench.workload import DEVICES, METRICS, Workload

Tell = Callable[[str], None]
"""Takes a line about what has been done."""
WARM_UP_STEPS = 20
NAIVE_SECONDS = 5.0
"""About so long does the naive side's turn take; with less, a turn would be no longer than its noise."""


class Report(msgspec.Struct, frozen=True):
    """All of one run of the benchmark; ``reference`` is the side that the others are compared with."""

    date: str
    machine: Machine
    versions: dict[str, str]
    reference: str
    sides: list[str]
    runs: list[Run]


async def ingest(*, rounds: int, messages: int, folder: Path, children: Children, tell: Tell) -> Report:
    """Measure ``rounds`` rounds of ``messages`` messages a side. Raises `Unavailable` where a server fails."""
    machine, known = this_machine(folder), versions()
    async with (
        running_postgres(folder) as postgres,
        _sides(postgres, folder, children, tell) as sides,
    ):
        turns = _Turns(postgres, turns=(rounds + 1) * len(sides), steps=_steps(messages))
        by_name = {side.name: side for side in sides}
        warm = {name: await turns.take(side, WARM_UP_STEPS, round_=-1) for name, side in by_name.items()}
        tell("warmed up")
        steps = dict.fromkeys(by_name, _steps(messages))
        steps[NaiveSide.name] = _steps(min(messages, round(NAIVE_SECONDS * warm[NaiveSide.name].rate / METRICS)))
        runs: list[Run] = []
        for round_ in range(rounds):
            for name in figures.order(list(by_name), round_):
                run = await turns.take(by_name[name], steps[name], round_=round_)
                runs.append(run)
                tell(f"round {round_ + 1} of {rounds}  {name:<36} {run.rate:>9,.0f} readings/s in {run.seconds:.1f} s")
        known["Postgres"] = postgres.version
    return Report(
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        machine=machine,
        versions=known,
        reference=NaiveSide.name,
        sides=list(by_name),
        runs=runs,
    )


@contextlib.asynccontextmanager
async def _sides(postgres: Postgres, folder: Path, children: Children, tell: Tell) -> AsyncIterator[list[Side]]:
    """Start everything but Postgres."""
    system = System(children, folder, await postgres.create("ours"))
    await system.start()
    tokens = await register_devices(system)
    tell("NATS, actor system and API run")
    async with naive_side(children, folder, await postgres.create("naive")) as naive:
        tell("mosquitto and its subscriber run")
        yield [OurSide(system, "rest", tokens), OurSide(system, "mqtt", tokens), naive]


def _steps(messages: int) -> int:
    return max(1, messages // DEVICES)


class _Turns:
    """One side after the other, with workloads one behind the other, the last of which ends before now."""

    def __init__(self, postgres: Postgres, *, turns: int, steps: int) -> None:
        self._postgres = postgres
        self._next_ms = int(time.time() * 1000) - Workload(turns * steps, 0).end_ms

    async def take(self, side: Side, steps: int, *, round_: int) -> Run:
        """Measure a side with ``steps`` messages of each device."""
        workload = Workload(steps, self._next_ms)
        self._next_ms = workload.end_ms
        await self._postgres.checkpoint()
        return await measure(side, workload, round_=round_)
