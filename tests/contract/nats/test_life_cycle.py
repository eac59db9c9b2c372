"""API and actor system over a real broker: they wait for what is missing and say so, start ready, and stop drained."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from chart_harness.waiting import until
from iot_system.adapters.http.server import HttpServer
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from iot_system.services.actor_system import ActorSystem
from iot_system.services.api import Api
from iot_system.services.streams import make_streams
from iot_system.settings import (
    ActorSystemSettings,
    ApiSettings,
    ListenSettings,
    ProcessSettings,
    ShardSettings,
    StreamSettings,
)

from tests.harness.nats import NatsServer

DEADLINE_S = 30.0
TOKEN = "the-administrator"
STREAM = StreamSettings(partitions=8)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Not started yet."""
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats")
    yield server
    server.stop()


def api_of(server: NatsServer) -> Api:
    return Api(
        ApiSettings(
            broker=server.settings(API),
            stream=STREAM,
            listen=ListenSettings(host="127.0.0.1", http_port=0, mqtt_port=0),
            admin_token=TOKEN,
        )
    )


def actor_system_of(server: NatsServer, database: Path) -> ActorSystem:
    return ActorSystem(
        ActorSystemSettings(
            shard=ShardSettings(
                broker=server.settings(ACTOR_SYSTEM), stream=STREAM, database_url=f"sqlite:///{database}"
            ),
            process=ProcessSettings(drain_timeout_s=10.0),
            placement="local",
            shards_per_node=2,
        )
    )


@asynccontextmanager
async def client_of(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    http = HttpServer(api.app, "127.0.0.1", 0)
    await http.start()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http.port}", headers=headers, timeout=DEADLINE_S) as one:
        yield one
    await http.stop(DEADLINE_S)


async def stored(client: httpx.AsyncClient) -> list[float]:
    items = (await client.get("/v1/devices/one/telemetry")).json()["items"]
    return [item["value"] for item in items]


async def test_the_api_says_what_it_waits_for_until_it_is_there(server: NatsServer, tmp_path: Path) -> None:
    api = api_of(server)
    starting = asyncio.create_task(api.start())
    await until(lambda: "does not answer" in (api.why_not_ready() or ""), within_s=DEADLINE_S)
    await asyncio.to_thread(server.start)
    missing = "stream IOT_FRAMES does not exist; `iot-system streams` makes it"
    await until(lambda: api.why_not_ready() == missing, within_s=DEADLINE_S)
    actors = actor_system_of(server, tmp_path / "iot.db")
    acting = asyncio.create_task(actors.start())
    missing = "stream IOT_EVENTS does not exist; `iot-system streams` makes it"
    await until(lambda: actors.why_not_ready() == missing, within_s=DEADLINE_S)
    await make_streams(server.settings(), STREAM)
    await asyncio.wait_for(asyncio.gather(acting, starting), DEADLINE_S)
    assert (api.why_not_ready(), actors.why_not_ready()) == (None, None)
    await api.stop()
    await api.stop()
    assert api.why_not_ready() is not None
    await actors.stop()


async def test_the_actor_system_says_what_it_waits_for_and_stops_while_it_waits(
    server: NatsServer, tmp_path: Path
) -> None:
    actors = actor_system_of(server, tmp_path / "iot.db")
    starting = asyncio.create_task(actors.start())
    await until(lambda: "the broker at" in (actors.why_not_ready() or ""), within_s=DEADLINE_S)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await asyncio.wait_for(actors.stop(), DEADLINE_S)


async def test_what_was_acknowledged_is_there_after_a_restart_of_the_actor_system(
    server: NatsServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(server.start)
    await make_streams(server.settings(), STREAM)
    api, actors = api_of(server), actor_system_of(server, tmp_path / "iot.db")
    await asyncio.wait_for(asyncio.gather(actors.start(), api.start()), DEADLINE_S)
    async with client_of(api) as client:
        assert (await client.post("/v1/devices", json={"id": "one", "room": "office"})).status_code == 201
        sent = [{"ts": number + 1, "values": {"t": number}} for number in range(50)]
        assert (await client.post("/v1/devices/one/telemetry", json=sent[:25])).status_code == 202
        await asyncio.wait_for(actors.stop(), DEADLINE_S)
        await actors.stop()
        assert (await client.post("/v1/devices/one/telemetry", json=sent[25:])).status_code == 202, "durable anyway"
        again = actor_system_of(server, tmp_path / "iot.db")
        await asyncio.wait_for(again.start(), DEADLINE_S)

        async def is_there() -> bool:
            return await stored(client) == list(range(50))

        await until(is_there, within_s=DEADLINE_S)

        async def is_counted() -> bool:
            room = (await client.get("/v1/rooms/office/twin")).json()
            return bool(room["metrics"]["t"]["count"] == 50)

        await until(is_counted, within_s=DEADLINE_S)
    await api.stop()
    await again.stop()


async def test_a_history_larger_than_the_broker_takes_at_once_is_read_by_its_cursors(
    server: NatsServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(server.start)
    await make_streams(server.settings(), STREAM)
    api, actors = api_of(server), actor_system_of(server, tmp_path / "iot.db")
    await asyncio.wait_for(asyncio.gather(actors.start(), api.start()), DEADLINE_S)
    async with client_of(api) as client:
        assert (await client.post("/v1/devices", json={"id": "one"})).status_code == 201
        for start in range(0, 150, 50):
            sent = [{"ts": ts + 1, "values": {"t": f"{ts:060000}"}} for ts in range(start, start + 50)]
            assert (await client.post("/v1/devices/one/telemetry", json=sent)).status_code == 202

        async def is_there() -> bool:
            last = await client.get("/v1/devices/one/telemetry", params={"order": "desc", "limit": 1})
            return [item["ts"] for item in last.json()["items"]] == [150]

        await until(is_there, within_s=DEADLINE_S)
        found: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get("/v1/devices/one/telemetry", params=cursor)).json()
            found += [int(item["value"][-3:]) for item in page["items"]]
            if page["cursor"] is None:
                break
            cursor = {"cursor": page["cursor"]}
        assert found == list(range(150))
    await api.stop()
    await actors.stop()


async def test_a_broker_that_is_away_for_a_moment_costs_readiness_and_nothing_else(
    server: NatsServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(server.start)
    await make_streams(server.settings(), STREAM)
    api, actors = api_of(server), actor_system_of(server, tmp_path / "iot.db")
    await asyncio.wait_for(asyncio.gather(actors.start(), api.start()), DEADLINE_S)
    async with client_of(api) as client:
        assert (await client.post("/v1/devices", json={"id": "one"})).status_code == 201
        server.kill()
        await until(lambda: api.why_not_ready() == "the broker is away", within_s=DEADLINE_S)
        assert (await client.get("/health")).status_code == 200
        sending = asyncio.create_task(client.post("/v1/devices/one/telemetry", json={"ts": 1, "values": {"t": 7}}))
        await asyncio.to_thread(server.start)
        assert (await sending).status_code == 202
        await until(lambda: api.why_not_ready() is None, within_s=DEADLINE_S)

        async def is_there() -> bool:
            return await stored(client) == [7]

        await until(is_there, within_s=DEADLINE_S)
    await api.stop()
    await actors.stop()
