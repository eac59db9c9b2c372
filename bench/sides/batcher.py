"""The strongest plain Python way, as a program of its own: gmqtt on uvloop, msgspec, and COPY of many messages.

`DATABASE_URL=… python -m bench.sides.batcher PORT`. MQTT 5 with QoS 1; a message is acknowledged after its commit, for
which its handler waits. Each question is answered by the number of messages committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import Any

import asyncpg
import msgspec
import uvloop
from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv50

from bench.programs import answer, hear_any
from bench.sides import rows
from bench.sides.rows import Keys, Row

TOPIC = "v1/devices/+/telemetry"
FLUSH_MESSAGES = 2000
FLUSH_S = 0.02


class Message(msgspec.Struct):
    """A payload; ``ts`` counts milliseconds since 1970."""

    ts: int
    values: dict[str, float | bool]


_decode = msgspec.json.Decoder(Message).decode


class Batcher:
    """Gathers for at most `FLUSH_S` or `FLUSH_MESSAGES`, and writes, while the next batch gathers."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._devices, self._metrics = Keys(), Keys()
        self._loop = asyncio.get_running_loop()
        self._some, self._full = asyncio.Event(), asyncio.Event()
        self._begin()
        self.committed = 0

    async def store(self, _client: object, topic: str, payload: bytes, *_: Any) -> int:
        """A handler of gmqtt: what it returns, and when, is the acknowledgement."""
        device, message = self._devices[topic.split("/")[2]], _decode(payload)
        time_us, metrics = message.ts * 1000, self._metrics
        self._rows += [(device, metrics[metric], time_us, value) for metric, value in message.values.items()]
        self._messages += 1
        self._some.set()
        if self._messages >= FLUSH_MESSAGES:
            self._full.set()
        await self._written
        return 0

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._full.wait()
            gathered, messages, written = self._rows, self._messages, self._written
            self._begin()
            await rows.copy(self._connection, gathered)
            self.committed += messages
            written.set_result(None)

    def _begin(self) -> None:
        self._rows: list[Row] = []
        self._messages = 0
        self._written: asyncio.Future[None] = self._loop.create_future()
        self._some.clear()
        self._full.clear()


async def main(port: int) -> None:
    """Subscribe, and store what comes, until nobody asks any more."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(rows.TABLE)
    batcher = Batcher(connection)
    client = Client("batcher", clean_session=True, optimistic_acknowledgement=False)
    subscribed = asyncio.Event()
    client.on_message = batcher.store
    client.on_subscribe = lambda *_: subscribed.set()
    await client.connect("127.0.0.1", port, version=MQTTv50)
    client.subscribe(TOPIC, qos=1)
    await subscribed.wait()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(batcher.run())
        while True:
            await asyncio.to_thread(hear_any)
            answer(batcher.committed)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
