"""How figures grow with partitions, shards and devices: one of them at a time, a new installation for each point.

Every device speaks in every turn, by bulk requests. In the first turn all actors are activated; in the second one they
are there. Where there are many devices a turn is one message of each.
"""

from __future__ import annotations

import time

import msgspec
from iot_system.services.hosting import start_shard
from iot_system.settings import BrokerSettings, ShardSettings, StreamSettings

from bench.context import Context, Ground, ground
from bench.servers import System
from bench.sides.ours import OurSide, register_devices
from bench.turns import Turns
from bench.usage import HOST, resident_bytes

USUAL = (64, 1, 1_000)
POINTS = (
    USUAL,
    (1, 1, 1_000),
    (16, 1, 1_000),
    (256, 1, 1_000),
    (64, 2, 1_000),
    (64, 1, 10_000),
    (64, 1, 100_000),
    (64, 1, 1_000_000),
)
"""Partitions, shards, devices."""


class Point(msgspec.Struct, frozen=True):
    """One installation.

    ``start_s`` from nothing until all processes are ready, ``claim_s`` for one shard to take all partitions over,
    ``first`` and ``again`` readings/s in the two turns, ``shard_bytes`` resident in each shard after them.
    """

    partitions: int
    shards: int
    devices: int
    start_s: float
    register_s: float
    first: float
    again: float
    shard_bytes: list[int]
    claim_s: float


class Growth(msgspec.Struct, frozen=True):
    """The points in their order."""

    points: list[Point]


async def growth(context: Context) -> Growth:
    """Measure. Raises `Unavailable` where a server fails."""
    points = []
    for partitions, shards, devices in POINTS:
        if devices <= context.devices:
            async with ground() as on:
                points.append(point := await _point(context, on, partitions, shards, devices))
            context.tell(
                f"{partitions} partitions, {shards} shards, {devices:,} devices: {point.first:,.0f} readings/s, then "
                f"{point.again:,.0f}; {sum(point.shard_bytes) / 2**20:.0f} MiB, claimed in {point.claim_s:.2f} s"
            )
    return Growth(points)


async def _point(context: Context, on: Ground, partitions: int, shards: int, devices: int) -> Point:
    url = await on.postgres.create("ours")
    settings = {"IOT_PARTITIONS": str(partitions), "IOT_SHARDS_PER_NODE": str(shards)}
    system = System(on.children, on.folder, url, settings=settings)
    began_s = time.monotonic()
    await system.start()
    started_s = time.monotonic()
    await register_devices(system, devices)
    registered_s = time.monotonic()
    steps = max(1, context.messages // devices)
    turns = Turns(on.postgres, steps=2 * steps, devices=devices)
    side = OurSide(system, "rest", [])
    first, again = [(await turns.take(side, steps, round_=round_)).rate for round_ in range(2)]
    return Point(
        partitions=partitions,
        shards=shards,
        devices=devices,
        start_s=started_s - began_s,
        register_s=registered_s - started_s,
        first=first,
        again=again,
        shard_bytes=resident_bytes(HOST)[:shards],  # the coordinator's process is the smallest
        claim_s=await _claim_s(system.broker_port, url, partitions),
    )


async def _claim_s(broker_port: int, url: str, partitions: int) -> float:
    """How long a new shard takes to own everything, in the place of those that did."""
    shard = await start_shard(
        ShardSettings(
            broker=BrokerSettings(urls=f"nats://127.0.0.1:{broker_port}"),
            stream=StreamSettings(partitions=partitions),
            database_url=url,
        ),
        "bench",
        "bench",
    )
    try:
        began_s = time.perf_counter()
        await shard.claim(range(partitions))
        return time.perf_counter() - began_s
    finally:
        await shard.stop()
