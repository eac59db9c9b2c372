"""`python -m bench.senders`: reads an order, makes everything ready, and sends when told to.

Encoding, connecting and logging in come before the measured time: a benchmark's client plays many devices, which do
that on processors of their own.
"""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec
import uvloop

from bench.senders import mqtt, rest
from bench.senders.orders import Order, Sent
from bench.senders.sender import READY


async def _run(order: Order) -> Sent:
    make = mqtt.connect if order.protocol == "mqtt" else rest.connect
    async with make(order) as sender:
        print(READY, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        await sender.send()
        return Sent(time.perf_counter() - began_s, time.process_time() - cpu_began_s)


if __name__ == "__main__":
    told = msgspec.json.decode(sys.stdin.readline(), type=Order)
    print(msgspec.json.encode(uvloop.run(_run(told))).decode(), flush=True)
