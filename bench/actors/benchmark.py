"""Updates by side, and what activation takes in time and memory."""

from __future__ import annotations

import contextlib
import itertools

import msgspec
from iot_system.adapters.stores import migrate_store, open_store

from bench import figures
from bench.actors.activating import Activated
from bench.actors.registered import register
from bench.actors.updater import Updated
from bench.context import Context, Ground, ground
from bench.ingest import SIZES
from bench.programs import Program, program
from tests.harness.load.script import METRICS

FEW, MANY = 16, 10_000
"""As many processes as a machine may well hold actors of Ray; and more devices than that."""
RAY = f"one actor of Ray for each of {FEW} devices"
SIDES = {
    f"ours: actors of {FEW} devices": ("alone", FEW),
    f"ours: actors of {MANY:,} devices": ("alone", MANY),
    f"ours: {FEW} devices in a shard, committed": ("shard", FEW),
    f"ours: {MANY:,} devices in a shard, committed": ("shard", MANY),
    RAY: ("ray", FEW),
}
RAY_SHARE = 20
"""The side of Ray gets one message where the others get so many; rates are compared."""
WOKEN = (
    ("sqlite", 100_000, 6),
    ("sqlite", 100_000, 1),
    ("sqlite", 100_000, 0),
    ("sqlite", 1_000_000, 6),
    ("postgres", 100_000, 6),
)
"""Store, devices, and metrics that each has told once (none: it was never heard of)."""
TRACED = 100_000
"""The most devices whose memory is counted object by object as well."""


class Update(msgspec.Struct, frozen=True):
    """One side in one round."""

    side: str
    round: int
    metrics: int
    messages: int
    seconds: float

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds


class Waking(msgspec.Struct, frozen=True):
    """Devices of one store, woken ``rounds`` times by a new process each."""

    store: str
    devices: int
    metrics: int
    rounds: list[Activated]
    traced_bytes: int | None


class Actors(msgspec.Struct, frozen=True):
    """``reference`` is the side that the others are compared with."""

    reference: str
    sides: list[str]
    updates: list[Update]
    wakings: list[Waking]


async def actors(context: Context) -> Actors:
    """Measure. Raises `Unavailable` where a program fails."""
    async with ground() as on:
        updates = await _updates(context, on)
        wakings = [
            await _waking(context, on, store, min(devices, context.devices), metrics)
            for store, devices, metrics in WOKEN
        ]
    return Actors(reference=RAY, sides=list(SIDES), updates=updates, wakings=wakings)


async def _updates(context: Context, on: Ground) -> list[Update]:
    found: list[Update] = []
    async with contextlib.AsyncExitStack() as stack:
        programs: dict[str, Program] = {}
        for name, (side, devices) in SIDES.items():
            environment = {"RAY_TMPDIR": str(on.folder)}
            programs[name] = await stack.enter_async_context(program("bench.actors.updating", environment=environment))
            await programs[name].ask((side, devices), type(None))
            await programs[name].ask((devices, METRICS), Updated)
        context.tell("actors are in memory")
        for metrics, round_ in itertools.product(SIZES, range(context.rounds)):
            for name in figures.order(list(SIDES), round_):
                messages = max(1, context.messages // (RAY_SHARE if name == RAY else 1))
                updated = await programs[name].ask((messages, metrics), Updated)
                found.append(Update(name, round_, metrics, updated.messages, updated.seconds))
                context.tell(f"round {round_ + 1}  {name:<45} {found[-1].rate:>10,.0f} messages/s of {metrics}")
    return found


async def _waking(context: Context, on: Ground, kind: str, devices: int, metrics: int) -> Waking:
    name = f"{kind}_{devices}_{metrics}"
    url = await on.postgres.create(name) if kind == "postgres" else f"sqlite:///{on.folder}/{name}"
    await migrate_store(url)
    store = open_store(url)
    await store.start()
    await register(store, devices, partitions=1, metrics=metrics)
    await store.stop()
    rounds = [await _activated(url, devices) for _ in range(context.rounds)]
    traced = await _activated(url, devices, "traced") if devices <= TRACED else None
    best = figures.spread([one.devices / one.seconds for one in rounds]).median
    context.tell(f"{kind}, {devices:,} devices of {metrics} metrics: {best:,.0f} activations/s")
    return Waking(kind, devices, metrics, rounds, traced.traced_bytes if traced else None)


async def _activated(url: str, devices: int, *options: str) -> Activated:
    async with program("bench.actors.activating", url, str(devices), *options) as process:
        return await process.ask(None, Activated)
