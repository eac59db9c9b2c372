"""The bare hops that a command takes, each by itself, between processes, with the durability that it has on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import asyncpg
from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv50
from iot_system.adapters.nats.connection import Client as NatsClient
from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.settings import BrokerSettings
from nats.aio.msg import Msg

from bench.commands.other_end import SUBJECT
from bench.context import Ground
from bench.http_client import http_client
from bench.programs import program
from bench.servers import start_mosquitto

STREAM, STREAM_SUBJECT = "BENCH_HOPS", "bench.hops"
WORDS = "bench.words"
BODY = bytes(200)
Hop = Callable[[], Awaitable[object]]

HTTP = "HTTP request, an object as answer"
REQUEST = "NATS request and reply"
WORD = "NATS message, one way"
STREAM_PUBLISH = "JetStream publish, synced"
COMMIT = "Postgres commit of one row"
MQTT = "MQTT QoS 1 there and back, by mosquitto"
TIMES: Mapping[str, int] = {HTTP: 2, REQUEST: 1, WORD: 3, STREAM_PUBLISH: 1, COMMIT: 2, MQTT: 1}
"""How often a command takes each: it is given and its result is asked for; its owner is asked; the owner tells the
process that the device is connected to, the broker hands the result to the owner, the owner tells who waits; the result
becomes durable; both changes are committed; the device hears of it and answers."""


@contextlib.asynccontextmanager
async def hops(on: Ground, broker_port: int) -> AsyncIterator[Mapping[str, Hop]]:
    """What to call for each; returns when the hop is over."""
    async with contextlib.AsyncExitStack() as stack:
        other_end = await stack.enter_async_context(program("bench.commands.other_end", str(broker_port)))
        http_port = await other_end.ask(None, int)
        broker = BrokerSettings(urls=f"nats://127.0.0.1:{broker_port}")
        nats, listener = await connect(broker, name="hops"), await connect(broker, name="listener")
        for client in (nats, listener):
            stack.push_async_callback(disconnect, client)
        jetstream = nats.jetstream()
        await jetstream.add_stream(name=STREAM, subjects=[STREAM_SUBJECT])
        database = await asyncpg.connect(await on.postgres.create("hops"))
        stack.push_async_callback(database.close)
        await database.execute("create table hops (number bigserial primary key, body bytea)")
        mqtt = await stack.enter_async_context(_there_and_back(await start_mosquitto(on.children, on.folder)))
        http = await stack.enter_async_context(http_client(http_port))  # last: a server waits for nobody long
        yield {
            HTTP: lambda: http.request("GET", "/hello"),
            REQUEST: lambda: nats.request(SUBJECT, BODY, timeout=5),
            WORD: await _one_way(nats, listener),
            STREAM_PUBLISH: lambda: jetstream.publish(STREAM_SUBJECT, BODY),
            COMMIT: lambda: database.execute("insert into hops (body) values ($1)", BODY),
            MQTT: mqtt,
        }


async def _one_way(client: NatsClient, listener: NatsClient) -> Hop:
    """From one connection to another."""
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Msg) -> None:
        came.put_nowait(message.data)

    async def hop() -> bytes:
        await client.publish(WORDS, BODY)
        return await came.get()

    await listener.subscribe(WORDS, cb=hear)
    for _ in range(2):  # nats-py writes a PING past its buffer: the first answer says that the subscription has left
        await listener.flush()
    return hop


@contextlib.asynccontextmanager
async def _there_and_back(port: int) -> AsyncIterator[Hop]:
    """A client that hears what it has said itself."""
    client = Client("hops", clean_session=True)
    subscribed = asyncio.Event()
    came: asyncio.Queue[bytes] = asyncio.Queue()

    def hear(_client: object, _topic: str, payload: bytes, *_: Any) -> None:
        came.put_nowait(payload)

    async def hop() -> bytes:
        client.publish("hops", BODY, qos=1)
        return await came.get()

    client.on_message = hear
    client.on_subscribe = lambda *_: subscribed.set()
    await client.connect("127.0.0.1", port, version=MQTTv50)
    try:
        client.subscribe("hops", qos=1)
        await subscribed.wait()
        yield hop
    finally:
        await client.disconnect()
