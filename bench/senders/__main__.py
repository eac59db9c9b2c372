"""`python -m bench.senders`: reads an order, makes everything ready, and sends when told to.

Encoding, connecting and logging in come before the measured time: a benchmark's client plays many devices, which do
that on processors of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import uvloop
from iot_system.logs import set_up_logs

from bench.programs import answer, hear, hear_any
from bench.senders import frames, mqtt, rest
from bench.senders.orders import Order, Sent
from bench.senders.sender import Sender

CONNECT: Mapping[str, Callable[[Order], AbstractAsyncContextManager[Sender]]] = {
    "mqtt": mqtt.connect,
    "rest": rest.connect,
    "frames": frames.connect,
}


async def _run(order: Order) -> None:
    set_up_logs("error")
    async with CONNECT[order.protocol](order) as sender:
        answer(None)
        await asyncio.to_thread(hear_any)
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        await sender.send()
        answer(Sent(time.perf_counter() - began_s, time.process_time() - cpu_began_s))


if __name__ == "__main__":
    uvloop.run(_run(hear(Order)))
