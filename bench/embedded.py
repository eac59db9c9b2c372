"""`python -m bench.embedded`: the whole system in one process, for benchmarks of those who speak to it.

An API pod, one shard over SQLite, and a nats-server, as many tests have it; it answers once with its ways in, and ends
with the next question.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec
import uvloop
from iot_system.logs import set_up_logs

from bench.programs import answer, hear_any
from tests.harness.system import ADMIN_TOKEN, running_system


class Embedded(msgspec.Struct, frozen=True):
    """REST at ``url`` with ``token``, and the port of MQTT on loopback."""

    url: str
    token: str
    mqtt_port: int


async def main() -> None:
    """Until nobody asks any more."""
    set_up_logs("error")
    hear_any()
    with tempfile.TemporaryDirectory(prefix="iot-bench-") as folder:
        async with running_system(Path(folder)) as system:
            answer(Embedded(system.pod.url, ADMIN_TOKEN, system.pod.mqtt_port))
            await asyncio.to_thread(hear_any)


if __name__ == "__main__":
    uvloop.run(main())
