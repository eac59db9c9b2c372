"""The streams as the job makes them, on a real nats-server."""

from __future__ import annotations

import asyncio

from iot_system.adapters.nats.connection import Client
from iot_system.adapters.nats.events import READINGS
from iot_system.adapters.nats.stream import STREAM, NatsStream, frame_stream
from iot_system.adapters.nats.usage import STREAMS
from iot_system.services.streams import make_streams
from iot_system.settings import StreamSettings
from msgspec.structs import replace
from nats.js.api import StorageType, StreamConfig, StreamInfo

from tests.harness.nats import NatsServer, connected

SETTINGS = StreamSettings(partitions=4)


async def streams(client: Client) -> dict[str, StreamInfo]:
    return {one.config.name or "": one for one in await client.jetstream().streams_info()}


async def test_all_streams_are_there_after_the_only_server_has_been_killed(
    server: NatsServer, administrator: Client
) -> None:
    await make_streams(server.settings(), SETTINGS)
    assert (await streams(administrator)).keys() == set(STREAMS)
    server.kill()
    await asyncio.to_thread(server.start)
    async with connected(server) as again:
        assert (await streams(again)).keys() == set(STREAMS)


async def test_streams_of_0_1_0_keep_what_they_hold_but_for_new_readings_which_it_kept_in_memory(
    server: NatsServer, administrator: Client
) -> None:
    jetstream = administrator.jetstream()
    made = await jetstream.add_stream(frame_stream(SETTINGS))
    await jetstream.add_stream(StreamConfig(name=READINGS, subjects=["iot.readings.*"], storage=StorageType.MEMORY))
    await NatsStream(administrator, SETTINGS).publish(1, b"kept", message_id="1")
    await make_streams(server.settings(), SETTINGS)
    after = await streams(administrator)
    assert (after[STREAM].created, after[STREAM].state.messages) == (made.created, 1)
    assert {one.config.storage for one in after.values()} == {StorageType.FILE}


async def test_another_run_changes_limits_and_nothing_else(server: NatsServer, administrator: Client) -> None:
    await make_streams(server.settings(), SETTINGS)
    before = await streams(administrator)
    await make_streams(server.settings(), replace(SETTINGS, max_bytes=2 << 20, events_max_bytes=3 << 20))
    after = await streams(administrator)
    assert {name: one.created for name, one in after.items()} == {name: one.created for name, one in before.items()}
    changed = {name: one.config.max_bytes for name, one in after.items() if one.config != before[name].config}
    assert changed == {STREAM: 2 << 20, "IOT_EVENTS": 3 << 20}
