"""`python -m bench.senders.idle`: is told whom to be, connects them all by MQTT 3.1.1, and then is silent.

A question after that is answered by how many of them are connected still.
"""

from __future__ import annotations

import asyncio

import msgspec
import uvloop

from bench.programs import answer, hear, hear_any
from bench.senders.mqtt import DeviceConnection, join

AT_ONCE = 50


class Idlers(msgspec.Struct, frozen=True):
    """Devices ``first`` and on, with their passwords, at ``port`` of loopback."""

    port: int
    first: int
    passwords: list[str]


async def main(idlers: Idlers) -> None:
    """Answer until nobody asks any more."""
    connections: list[DeviceConnection] = []
    for start in range(0, len(idlers.passwords), AT_ONCE):
        batch = enumerate(idlers.passwords[start : start + AT_ONCE], idlers.first + start)
        connections += await asyncio.gather(*(join(idlers.port, number, password) for number, password in batch))
    answer(None)
    while True:
        await asyncio.to_thread(hear_any)
        answer(sum(not connection.finished.done() for connection in connections))


if __name__ == "__main__":
    uvloop.run(main(hear(Idlers)))
