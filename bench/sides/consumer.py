"""The raw loop, as a program of its own: JetStream → msgspec → COPY and positions in one transaction. No actors.

`DATABASE_URL=… python -m bench.sides.consumer PORT`. It reads the same frames by the same reader as our shard, and
fetches the next ones while it writes. It has no state of devices and rooms, no registrations, no epochs, no look for
readings sent again, no messages between actors, and answers no questions but this one: how many messages are committed.
"""

from __future__ import annotations

import asyncio
import os
import sys

import asyncpg
import uvloop
from iot_system.adapters.nats.connection import connect
from iot_system.adapters.nats.providing import provide_streams
from iot_system.adapters.nats.stream import NatsStream
from iot_system.domain.frames import DeviceFrame, decode_frame
from iot_system.logs import set_up_logs
from iot_system.ports.stream import StreamMessage
from iot_system.settings import BrokerSettings, StreamSettings

from bench.programs import answer, hear_any
from bench.sides import rows
from bench.sides.rows import Keys, Row

POSITIONS = "create table if not exists positions (partition integer primary key, applied bigint not null)"
ADVANCE = (
    "insert into positions select * from unnest($1::integer[], $2::bigint[]) "
    "on conflict (partition) do update set applied = excluded.applied"
)
FETCH_FRAMES = 64
FETCH_WAIT_S = 1.0


class Consumer:
    """Takes frames, writes their readings."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._devices, self._metrics = Keys(), Keys()
        self.committed = 0

    async def run(self, stream: NatsStream, stream_id: str) -> None:
        """Read and write for ever."""
        positions = dict.fromkeys(range(StreamSettings().partitions), 0)
        positions |= dict(await self._connection.fetch("select partition, applied from positions"))
        async with stream.read(positions, stream_id=stream_id) as reader:
            fetching = asyncio.create_task(reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S))
            while True:
                frames = await fetching
                fetching = asyncio.create_task(reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S))
                if frames:
                    await self._store(frames)

    async def _store(self, frames: list[StreamMessage]) -> None:
        devices, metrics = self._devices, self._metrics
        found: list[Row] = []
        messages = 0
        for one in frames:
            frame = decode_frame(one.data)
            assert isinstance(frame, DeviceFrame)
            messages += len(frame.messages)
            for message in frame.messages:
                device, time_us = devices[message.device], message.time_us
                found += [(device, metrics[metric], time_us, value) for metric, value in message.values.items()]
        applied = {one.partition: one.sequence for one in frames}
        async with self._connection.transaction():
            await self._connection.copy_records_to_table("readings", records=found, columns=rows.COLUMNS)
            await self._connection.execute(ADVANCE, list(applied), list(applied.values()))
        self.committed += messages


async def main(port: int) -> None:
    """Store what comes, until nobody asks any more."""
    set_up_logs("error")
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(rows.TABLE)
    await connection.execute(POSITIONS)
    client = await connect(BrokerSettings(urls=f"nats://127.0.0.1:{port}"), name="consumer")
    await provide_streams(client, StreamSettings())
    stream = NatsStream(client, StreamSettings())
    stream_id = await stream.identity()
    consumer = Consumer(connection)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(consumer.run(stream, stream_id))
        while True:
            await asyncio.to_thread(hear_any)
            answer(consumer.committed)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
