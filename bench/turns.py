"""One side after the other, with workloads one behind the other, the last of which ends before now."""

from __future__ import annotations

import time

from bench.figures import Run
from bench.measure import measure
from bench.postgres import Postgres
from bench.sides.side import Side
from bench.workload import DEVICES, Workload
from tests.harness.load.script import METRICS


class Turns:
    """At most ``steps`` messages of each device, over all turns together."""

    def __init__(self, postgres: Postgres, *, steps: int, devices: int = DEVICES) -> None:
        self._postgres = postgres
        self._devices = devices
        self._next_ms = int(time.time() * 1000) - Workload(steps, 0).end_ms

    async def take(self, side: Side, steps: int, *, round_: int, metrics: int = METRICS) -> Run:
        """Measure a side with ``steps`` messages of each device, with so many ``metrics`` in each."""
        workload = Workload(steps, self._next_ms, self._devices, metrics)
        self._next_ms = workload.end_ms
        await self._postgres.checkpoint()
        return await measure(side, workload, round_=round_)
