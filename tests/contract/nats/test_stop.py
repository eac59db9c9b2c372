"""The end of an API: it takes no longer than it may, even where the broker that it waits for is away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import httpx
import pytest
from chart_harness.waiting import until
from iot_system.adapters.http.server import HttpServer
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.packets import Connect, Publish
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from iot_system.services.api import Api
from iot_system.services.hosting import start_shard
from iot_system.services.streams import make_streams
from iot_system.settings import (
    ApiSettings,
    ListenSettings,
    ProcessSettings,
    ShardSettings,
    StreamSettings,
)

from tests.harness.nats import running_nats

DEADLINE_S = 30.0
SLACK_S = 1.0
"""For a busy machine; a publish is tried for 15 s."""
STREAM = StreamSettings(partitions=4)
PROCESS = ProcessSettings(drain_timeout_s=4.0)
TOKEN = "the-administrator"


async def test_an_api_stops_in_time_while_the_broker_is_away_and_work_waits_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_nats(tmp_path) as server:
        await make_streams(server.settings(), STREAM)
        database_url = f"sqlite:///{tmp_path / 'iot.db'}"
        shard = await start_shard(
            ShardSettings(broker=server.settings(ACTOR_SYSTEM), stream=STREAM, database_url=database_url), "a", "node"
        )
        await shard.claim(range(STREAM.partitions))
        listen = ListenSettings(host="127.0.0.1", http_port=0, mqtt_port=0)
        api = Api(
            ApiSettings(broker=server.settings(API), stream=STREAM, listen=listen, process=PROCESS, admin_token=TOKEN)
        )
        await asyncio.wait_for(api.start(), DEADLINE_S)
        http = HttpServer(api.app, "127.0.0.1", 0)
        await http.start()
        assert api._mqtt is not None
        mqtt_port = api._mqtt.port
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{http.port}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=DEADLINE_S) as client:
            assert (await client.post("/v1/devices", json={"id": "one"})).status_code == 201
            reading = {"ts": 1, "values": {"t": 7}}
            assert (await client.post("/v1/devices/one/telemetry", json=reading)).status_code == 202
            read, write = await asyncio.open_connection("127.0.0.1", mqtt_port)
            write.write(encode(Connect("", keep_alive_s=60, username="admin", password=TOKEN.encode())))
            assert await asyncio.wait_for(read.readexactly(4), DEADLINE_S) == b"\x20\x02\x00\x00"
            server.kill()
            await until(lambda: api.why_not_ready() == "the broker is away", within_s=DEADLINE_S)
            posting = asyncio.create_task(client.post("/v1/devices/one/telemetry", json=reading))
            write.write(encode(Publish("v1/devices/one/telemetry", b'{"ts": 2, "values": {"t": 8}}', 1, 1)))
            assert api._gateway is not None
            queued = api._gateway._intake._writers
            await until(lambda: sum(writer._queued for writer in queued) == 2, within_s=DEADLINE_S)

            started_s = time.monotonic()
            await http.stop(deadline_s=PROCESS.requests_timeout_s)
            await api.stop()
            assert time.monotonic() - started_s < PROCESS.drain_timeout_s + SLACK_S

            with pytest.raises(httpx.RemoteProtocolError):
                await posting
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(read.read(), DEADLINE_S) == b"", "no acknowledgement"
            write.close()
            await api.stop()
        assert [writer for writer in queued if writer._sender is not None] == [], "nobody publishes any more"
        told = "".join(capsys.readouterr())
        assert "connections cut at stop" in told
        assert "messages cut" in told
        await asyncio.to_thread(server.start)
        await shard.stop()
