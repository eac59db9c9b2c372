"""Writing to the stream of frames, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from iot_system.adapters.nats.reader import NatsReader
from iot_system.adapters.nats.stream import NatsStream
from iot_system.ports.stream import Reader, StreamMessage
from iot_system.settings import StreamSettings

from tests.harness.collecting import collect

PARTITIONS = 8
SETTINGS = StreamSettings(partitions=PARTITIONS, max_bytes=64 << 20)


async def publish(stream: NatsStream, partition: int, *texts: str) -> list[int]:
    """Their sequences."""
    return [await stream.publish(partition, text.encode(), message_id=f"{partition}-{text}") for text in texts]


async def reading(stream: NatsStream, positions: Mapping[int, int]) -> NatsReader:
    """A reader of the stream as it is now."""
    return stream.read(positions, stream_id=await stream.identity())


async def read(reader: Reader, count: int) -> list[StreamMessage]:
    """So many messages, within a deadline."""
    return await collect(partial(reader.fetch, 16, wait_s=1), count, within_s=15)
