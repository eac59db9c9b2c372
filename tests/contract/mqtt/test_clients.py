"""Clients that others wrote: paho-mqtt, aiomqtt, and mosquitto's where it is installed."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import gmqtt
import paho.mqtt.client as paho
import pytest
from chart_harness.waiting import until
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.contract.mqtt.mosquitto import mosquitto, needs_mosquitto
from tests.contract.mqtt.serving import DEADLINE_S, TELEMETRY, Served, serving

MESSAGES = 500


class Paho:
    """paho-mqtt with its own thread, as a device uses it."""

    def __init__(
        self, served: Served, *, client_id: str = "paho", protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311
    ) -> None:
        self.acknowledged: list[int] = []
        self.connections: list[bool] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
        self.client.username_pw_set("one", served.tokens["one"])
        self.client.reconnect_delay_set(1, 1)
        self.client.max_inflight_messages_set(100)
        self.client.on_publish = lambda *arguments: self.acknowledged.append(arguments[2])
        self.client.on_connect = lambda *arguments: self.connections.append(not arguments[3].is_failure)
        self.client.connect_async("127.0.0.1", served.port, keepalive=10)
        self.client.loop_start()

    async def acknowledged_all(self, count: int) -> None:
        await until(lambda: len(self.acknowledged) >= count, within_s=DEADLINE_S, why="not acknowledged")

    async def close(self) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)


@asynccontextmanager
async def paho_client(
    served: Served, *, client_id: str = "paho", protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311
) -> AsyncIterator[Paho]:
    client = Paho(served, client_id=client_id, protocol=protocol)
    try:
        await until(lambda: client.connections, within_s=DEADLINE_S, why="not connected")
        yield client
    finally:
        await client.close()


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_paho_sends_and_every_message_is_there_once_in_its_order(
    served: Served, qos: int, protocol: MQTTProtocolVersion
) -> None:
    async with paho_client(served, protocol=protocol) as client:
        for number in range(MESSAGES):
            client.client.publish(TELEMETRY, json.dumps({"ts": number + 1, "values": {"t": number}}), qos=qos)
        await client.acknowledged_all(MESSAGES)
        await until(lambda: len(served.stored("one", "t")) == MESSAGES, within_s=DEADLINE_S)
    assert served.stored("one", "t") == list(range(MESSAGES))


async def test_paho_keeps_what_was_not_acknowledged_and_sends_it_again_after_a_restart() -> None:
    async with serving() as first:
        first.gateway.hold()
        client = Paho(first)
        await until(lambda: client.connections, within_s=DEADLINE_S)
        for number in range(50):
            client.client.publish(TELEMETRY, json.dumps({"ts": number + 1, "values": {"t": number}}), qos=1)
        await first.gateway.called(1)
        await first.server.stop(0.1)
        assert client.acknowledged == []
        async with serving(before=first) as second:
            await client.acknowledged_all(50)
            assert second.stored("one", "t") == list(range(50))
        await client.close()


async def test_paho_is_told_that_its_token_is_wrong(served: Served) -> None:
    served.tokens["one"] = "wrong"
    async with paho_client(served) as client:
        assert client.connections == [False]


async def test_paho_is_told_why_a_message_of_mqtt_5_is_refused_and_stays_connected(served: Served) -> None:
    async with paho_client(served, protocol=MQTTProtocolVersion.MQTTv5) as client:
        codes: list[ReasonCode] = []
        client.client.on_publish = lambda *arguments: codes.append(arguments[3])
        client.client.publish(TELEMETRY, "{", qos=1)
        client.client.publish(TELEMETRY, '{"t": 1}', qos=1)
        await until(lambda: len(codes) == 2, within_s=DEADLINE_S, why="not answered")
        assert [code.getName() for code in codes] == ["Payload format invalid", "Success"]
        assert client.connections == [True]


async def test_of_two_paho_clients_with_one_identifier_the_later_stays(served: Served) -> None:
    async with paho_client(served, client_id="same") as first:
        first.client.reconnect_delay_set(60, 60)
        async with paho_client(served, client_id="same") as second:
            await until(lambda: not first.client.is_connected(), within_s=DEADLINE_S, why="the first is still there")
            second.client.publish(TELEMETRY, '{"t": 1}', qos=1)
            await second.acknowledged_all(1)


async def test_aiomqtt_sends_many_at_once(served: Served) -> None:
    async with aiomqtt.Client(
        "127.0.0.1", served.port, username="one", password=served.tokens["one"], protocol=aiomqtt.ProtocolVersion.V311
    ) as client:
        await asyncio.gather(
            *(
                client.publish(TELEMETRY, json.dumps({"ts": number + 1, "values": {"t": number}}), qos=1)
                for number in range(100)
            )
        )
        await client.subscribe("v1/devices/me/commands/+/+", qos=1)
    assert served.stored("one", "t") == list(range(100))


async def test_aiomqtt_is_told_what_it_may_not_subscribe_to(served: Served) -> None:
    async with aiomqtt.Client(
        "127.0.0.1", served.port, username="one", password=served.tokens["one"], protocol=aiomqtt.ProtocolVersion.V311
    ) as client:
        (code,) = await client.subscribe("v1/devices/two/commands/+/+")
        assert (code if isinstance(code, int) else code.value) == 0x80


@needs_mosquitto
@pytest.mark.parametrize("version", ["311", "5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_pub_sends_line_by_line(served: Served, qos: str, version: str) -> None:
    lines = b"".join(b'{"ts":%d,"values":{"t":%d}}\n' % (number + 1, number) for number in range(100))
    arguments = ("-V", version, "-t", TELEMETRY, "-q", qos, "-l")
    assert await mosquitto(served, "mosquitto_pub", *arguments, stdin=lines) == (0, "")
    await until(lambda: len(served.stored("one", "t")) == 100, within_s=DEADLINE_S)
    assert served.stored("one", "t") == list(range(100))


@needs_mosquitto
async def test_mosquitto_pub_is_told_that_it_is_not_let_in(served: Served) -> None:
    served.tokens["one"] = "wrong"
    code, said = await mosquitto(served, "mosquitto_pub", "-t", TELEMETRY, "-m", '{"t":1}')
    assert code != 0
    assert "not authorised" in said.lower()


@needs_mosquitto
async def test_mosquitto_sub_subscribes_to_its_own_topics_only(served: Served) -> None:
    code, said = await mosquitto(served, "mosquitto_sub", "-E", "-t", "v1/devices/me/twin/desired")
    assert (code, said) == (0, "")
    _, said = await mosquitto(served, "mosquitto_sub", "-E", "-t", "v1/devices/two/twin/desired")
    assert "denied" in said or "rejected" in said


@needs_mosquitto
@pytest.mark.parametrize("version", ["311", "5"])
async def test_mosquitto_sub_gets_what_mosquitto_pub_has_left(served: Served, version: str) -> None:
    topic = f"app/left/{version}"
    published = await mosquitto(
        served, "mosquitto_pub", "-V", version, "-r", "-q", "2", "-t", topic, "-m", "still here", user="admin"
    )
    assert published == (0, "")
    arguments = ("-V", version, "-q", "1", "-C", "1", "-F", "%r %q %t %p", "-t", "app/left/+")
    code, said = await mosquitto(served, "mosquitto_sub", *arguments, user="admin")
    assert (code, said) == (0, f"1 1 {topic} still here\n")
    await mosquitto(served, "mosquitto_pub", "-r", "-n", "-t", topic, user="admin")


async def test_gmqtt_and_paho_understand_each_other(served: Served) -> None:
    """Properties, overlapping subscriptions with identifiers, a will."""
    received: asyncio.Queue[tuple[str, bytes, dict[str, Any]]] = asyncio.Queue()

    def on_message(client: object, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        received.put_nowait((topic, payload, properties))
        return 0

    listener = gmqtt.Client("listener", clean_session=True)
    listener.on_message = on_message
    listener.set_auth_credentials("admin", served.tokens["admin"])
    subscribed = asyncio.Event()
    listener.on_subscribe = lambda *_: subscribed.set()
    await listener.connect("127.0.0.1", served.port)
    listener.subscribe("app/talk/#", qos=1, subscription_identifier=7)
    await asyncio.wait_for(subscribed.wait(), DEADLINE_S)

    sender = paho.Client(CallbackAPIVersion.VERSION2, client_id="sender", protocol=MQTTProtocolVersion.MQTTv5)
    sender.username_pw_set("admin", served.tokens["admin"])
    sender.will_set("app/talk/will", b"gone", qos=1)
    sender.connect_async("127.0.0.1", served.port)
    sender.loop_start()
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("unit", "K")]
    properties.ContentType = "text/plain"
    sender.publish("app/talk/one", b"hello", qos=2, properties=properties)
    topic, payload, said = await asyncio.wait_for(received.get(), DEADLINE_S)
    assert (topic, payload) == ("app/talk/one", b"hello")
    assert (said["user_property"], said["content_type"]) == ([("unit", "K")], ["text/plain"])
    assert said["subscription_identifier"] == [7]

    sender.reconnect_delay_set(60, 60)
    connection = sender.socket()
    assert isinstance(connection, socket.socket)
    connection.shutdown(socket.SHUT_RDWR)
    topic, payload, _ = await asyncio.wait_for(received.get(), DEADLINE_S)
    assert (topic, payload) == ("app/talk/will", b"gone")
    await asyncio.to_thread(sender.loop_stop)
    await listener.disconnect()
