"""One side in one round."""

from __future__ import annotations

import asyncio
import os
import time

from iot_system.errors import Unavailable

from bench import usage
from bench.figures import Run
from bench.senders.sender import sender
from bench.sides.side import Side
from bench.workload import Workload

POLL_S = 0.02
"""How often it is asked whether all is committed, once all is acknowledged: what a figure may be too long by."""
STALLED_S = 60.0
"""A side that commits nothing for so long has failed."""


async def measure(side: Side, workload: Workload, *, round_: int) -> Run:
    """Send ``workload`` and return when its rows are committed and counted.

    Raises `Unavailable` where anything is missing or stored twice.
    """
    load_before = os.getloadavg()[0]
    await side.prepare()
    async with sender(side.order(workload)) as process:
        before = usage.cpu_s()
        began_s = time.perf_counter()
        sent = await process.send()
        await _wait_until_committed(side, workload)
        seconds = time.perf_counter() - began_s
        spent = usage.spent(before, usage.cpu_s()) | {"client": sent.cpu_s}
    await side.verify(workload)
    return Run(
        side=side.name,
        round=round_,
        readings=workload.readings,
        seconds=seconds,
        acknowledged_s=sent.seconds,
        cpu_s=spent,
        load_before=load_before,
    )


async def _wait_until_committed(side: Side, workload: Workload) -> None:
    newest, since_s = -1, time.monotonic()
    while (done := await side.committed()) < workload.messages:
        if done > newest:
            newest, since_s = done, time.monotonic()
        elif time.monotonic() - since_s > STALLED_S:
            raise Unavailable(
                f"{side.name}: {done} of {workload.messages} messages are committed, and no more in {STALLED_S:g} s"
            )
        await asyncio.sleep(POLL_S)
