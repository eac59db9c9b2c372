"""Ingest: from the device's first byte to the last committed row, ours by all doors against three other ways.

All sides run on real servers on this machine, into one Postgres server (a database each) with fsync and synchronous
commits. Within a round each side has its turn, with messages of the same devices and values; the timestamps go on from
turn to turn, so that nothing is a message sent again. Rates are compared, so a slow side may have fewer messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

import msgspec

from bench import figures
from bench.context import Context, Ground, Tell, ground
from bench.figures import Run
from bench.servers import System, start_broker, start_mosquitto
from bench.sides.ours import OurSide, issue_tokens, register_devices
from bench.sides.plain import NAIVE, RAW, STRONG, plain_side
from bench.sides.side import Side
from bench.turns import Turns
from bench.workload import DEVICES
from tests.harness.load.script import METRICS

SIZES = (METRICS, 1)
"""Readings in a message: all that a device measures at once, or one, as many devices send."""
WARM_UP_STEPS = 20
NAIVE_SECONDS = 5.0
"""About so long does the naive side's turn take; with less, a turn would be no longer than its noise."""


class Size(msgspec.Struct, frozen=True):
    """All runs with messages of so many ``metrics``."""

    metrics: int
    runs: list[Run]


class Ingest(msgspec.Struct, frozen=True):
    """``references`` are the sides that the others are compared with."""

    references: list[str]
    sides: list[str]
    sizes: list[Size]


async def ingest(context: Context) -> Ingest:
    """Measure. Raises `Unavailable` where a server fails."""
    async with ground() as on, _sides(on, context.tell) as sides:
        by_name = {side.name: side for side in sides}
        usual = _steps(context.messages)
        turns = Turns(on.postgres, steps=len(SIZES) * len(sides) * (WARM_UP_STEPS + context.rounds * usual))
        sizes = [Size(metrics, await _runs(context, turns, by_name, metrics)) for metrics in SIZES]
    return Ingest(references=[NAIVE, STRONG, RAW], sides=list(by_name), sizes=sizes)


async def _runs(context: Context, turns: Turns, sides: Mapping[str, Side], metrics: int) -> list[Run]:
    """All rounds with messages of one size."""
    warm = {name: await turns.take(side, WARM_UP_STEPS, round_=-1, metrics=metrics) for name, side in sides.items()}
    context.tell(f"warmed up; {metrics} readings in a message")
    steps = dict.fromkeys(sides, _steps(context.messages))
    steps[NAIVE] = _steps(min(context.messages, round(NAIVE_SECONDS * warm[NAIVE].rate / metrics)))
    runs: list[Run] = []
    for round_ in range(context.rounds):
        for name in figures.order(list(sides), round_):
            run = await turns.take(sides[name], steps[name], round_=round_, metrics=metrics)
            runs.append(run)
            context.tell(f"round {round_ + 1}  {name:<40} {run.rate:>9,.0f} readings/s in {run.seconds:.1f} s")
    return runs


@contextlib.asynccontextmanager
async def _sides(on: Ground, tell: Tell) -> AsyncIterator[list[Side]]:
    """Start everything but Postgres."""
    system = System(on.children, on.folder, await on.postgres.create("ours"))
    await system.start()
    await register_devices(system)
    tokens = await issue_tokens(system)
    tell("NATS, actor system and API run")
    naive = await start_mosquitto(on.children, on.folder, "naive-mosquitto")
    strong = await start_mosquitto(on.children, on.folder, "plain-mosquitto")
    raw = await start_broker(on.children, on.folder, "raw-nats-server")
    create = on.postgres.create
    async with (
        plain_side(NAIVE, "mqtt", naive, "bench.sides.subscriber", await create("naive")) as naive_side,
        plain_side(STRONG, "mqtt", strong, "bench.sides.batcher", await create("plain")) as strong_side,
        plain_side(RAW, "frames", raw, "bench.sides.consumer", await create("raw")) as raw_side,
    ):
        tell("the other sides run")
        ours = [OurSide(system, protocol, tokens) for protocol in ("rest", "mqtt", "frames")]
        yield [*ours, raw_side, strong_side, naive_side]


def _steps(messages: int) -> int:
    return max(1, messages // DEVICES)
