"""Devices and their actors over MQTT, through real brokers, a real shard and two API pods."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import aiomqtt
import msgspec
import pytest
from aiomqtt import ProtocolVersion
from chart_harness.waiting import until
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    ConnAck,
    Connect,
    Options,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    PubRec,
    SubAck,
    Subscribe,
)
from iot_system.adapters.mqtt.properties import Properties

from tests.contract.mqtt.peers import DEADLINE_S, peer, registered, twin_of
from tests.contract.mqtt.serving import RawClient
from tests.harness.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
VERSIONS = [ProtocolVersion.V311, ProtocolVersion.V5]
NAMES = ["me", "{id}"]
_numbers = count(1)


@pytest.fixture
def id_() -> str:
    """A device of this test alone."""
    return f"device-{next(_numbers)}"


async def desire(system: System, device: str, patch: dict[str, Any]) -> None:
    answer = await system.pods[1].admin.patch(f"/v1/devices/{device}/twin/desired", json=patch)
    assert answer.status_code == 200, answer.text


async def command(system: System, device: str, id_: str, **fields: Any) -> dict[str, Any]:
    answer = await system.pods[1].admin.post(
        f"/v1/devices/{device}/commands", json={"id": id_, "name": "reboot", **fields}
    )
    assert answer.status_code in (200, 201, 202), answer.text
    return dict(answer.json())


async def command_at_end(system: System, device: str, id_: str) -> dict[str, Any]:
    answer = await system.pods[1].admin.get(f"/v1/devices/{device}/commands/{id_}", params={"wait_s": DEADLINE_S})
    return dict(answer.json())


async def shows(system: System, device: str, **expected: object) -> None:
    """Returns once the twin shows this."""

    async def does() -> bool:
        twin = await twin_of(system.pod, device)
        return all(twin.get(name) == value for name, value in expected.items())

    await until(does, within_s=DEADLINE_S, why=f"the twin of {device} does not show {expected}")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
async def test_a_device_is_given_its_desired_state_whole_then_patch_by_patch(
    system: System, id_: str, name: str, version: ProtocolVersion
) -> None:
    (token,) = await registered(system.pod, id_)
    await desire(system, id_, {"led": "on", "rate": 5})
    topic = f"v1/devices/{name.format(id=id_)}/twin/desired"
    async with peer(system.pod, id_, token, version=version) as device:
        assert await device.subscribe(topic) == [1]
        message = await device.next()
        assert (str(message.topic), message.retain) == (topic, True)
        assert message.payload == b'{"version":1,"desired":{"led":"on","rate":5}}'
        await desire(system, id_, {"rate": None})
        message = await device.next()
        assert (message.retain, message.payload) == (False, b'{"version":2,"patch":{"rate":null}}')


async def test_who_subscribes_again_is_given_the_whole_again(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    async with peer(system.pod, id_, token) as device:
        for _ in range(2):
            await device.subscribe("v1/devices/me/twin/desired")
            assert await device.get() == ("v1/devices/me/twin/desired", {"version": 0, "desired": {}})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_command_reaches_its_device_and_its_result_who_waits_for_it(
    system: System, id_: str, name: str, qos: int, version: ProtocolVersion
) -> None:
    (token,) = await registered(system.pod, id_)
    own = f"v1/devices/{name.format(id=id_)}/commands"
    async with peer(system.pod, id_, token, version=version) as device:
        assert await device.subscribe(f"{own}/+/+", qos=qos) == [qos]
        await command(system, id_, "c-1", payload={"in_s": 5})
        message = await device.next()
        assert (str(message.topic), message.payload) == (f"{own}/c-1/reboot", b'{"in_s":5}')
        if version is ProtocolVersion.V5:
            assert message.properties is not None
            said = message.properties.json()  # type: ignore[no-untyped-call]
            assert said["ResponseTopic"] == f"{own}/c-1/result"
            assert bytes.fromhex(said["CorrelationData"]) == b"c-1"
            assert 0 < said["MessageExpiryInterval"] <= 60
        await device.publish(f"{own}/c-1/result", {"status": "succeeded", "payload": {"done": True}}, qos=2)
        ended = await command_at_end(system, id_, "c-1")
        assert (ended["status"], ended["result"]) == ("succeeded", {"done": True})


async def test_a_command_that_the_device_has_acknowledged_is_delivered(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    async with peer(system.pod, id_, token) as device:
        await device.subscribe("v1/devices/me/#")
        await device.get()  # the desired state
        await command(system, id_, "c-1")
        await device.get()

        async def is_delivered() -> bool:
            answer = await system.pod.admin.get(f"/v1/devices/{id_}/commands/c-1")
            return bool(answer.json()["status"] == "delivered")

        await until(is_delivered, within_s=DEADLINE_S, why="not delivered")


async def test_what_came_while_the_device_was_away_comes_when_it_is_back_on_another_pod(
    system: System, id_: str
) -> None:
    (token,) = await registered(system.pod, id_)
    async with peer(system.pods[0], id_, token, client_id="same", keeps_session=True) as device:
        await device.subscribe("v1/devices/me/twin/desired", "v1/devices/me/commands/#")
        await device.get()
    await shows(system, id_, connected=False)
    await desire(system, id_, {"led": "on"})
    await command(system, id_, "c-1")
    async with peer(system.pods[1], id_, token, client_id="same", keeps_session=True) as device:
        assert await device.get() == ("v1/devices/me/twin/desired", {"version": 1, "desired": {"led": "on"}})
        assert await device.get() == ("v1/devices/me/commands/c-1/reboot", None)


async def test_the_twin_shows_that_a_device_is_connected_and_why_it_is_no_more(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    async with peer(system.pod, "admin") as watcher:
        await watcher.subscribe(f"v1/devices/{id_}/connection")
        async with peer(system.pod, id_, token):
            await shows(system, id_, connected=True)
            assert (await watcher.get())[1]["connected"] is True
        await shows(system, id_, connected=False)
        _, left = await watcher.get()
        assert (left["connected"], left["reason"]) == (False, "clean")


async def test_a_device_that_is_disabled_is_shown_as_gone(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    async with peer(system.pod, id_, token):
        await shows(system, id_, connected=True)
        await system.pod.admin.patch(f"/v1/devices/{id_}", json={"enabled": False})
        await shows(system, id_, connected=False)


async def test_reported_state_is_merged_and_told_once_per_message(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    async with peer(system.pod, id_, token) as device:
        await device.publish("v1/devices/me/twin/reported", {"fw": "1.2", "mode": "eco"})
        await device.publish(f"v1/devices/{id_}/twin/reported", {"mode": None}, qos=2)
        await shows(system, id_, reported={"fw": "1.2"})


@pytest.mark.parametrize(
    ("topic", "body", "code"),
    [
        ("v1/devices/me/twin/reported", b"[1]", 0x99),
        ("v1/devices/me/twin/reported", b'{"text": "\\u0000"}', 0x99),
        ("v1/devices/me/commands/c-1/result", b'{"status": "perhaps"}', 0x99),
        ("v1/devices/me/commands/c-1/result", b'{"status": "failed", "more": 1}', 0x99),
        ("v1/devices/me/commands/../result", b'{"status": "failed"}', 0x90),
        ("v1/devices/me/twin/desired", b"{}", 0x87),
        ("v1/devices/device-1/telemetry", b'{"t": 1}', 0x87),
        ("v1/rooms/lab/twin", b"{}", 0x87),
        ("app/devices/device-1/x", b"{}", 0x87),
        ("app/x", b"{}", 0x87),
        ("elsewhere", b"{}", 0x87),
        ("$SYS/broker", b"{}", 0x87),
    ],
)
async def test_a_device_is_told_what_it_may_not_publish(
    system: System, id_: str, topic: str, body: bytes, code: int
) -> None:
    (token,) = await registered(system.pod, id_)
    client = RawClient(*await asyncio.open_connection("127.0.0.1", system.pod.mqtt_port), MQTT_5)
    await client.send(Connect("", MQTT_5, username=id_, password=token.encode()))
    assert isinstance(await client.receive(), ConnAck)
    await client.send(Publish(topic, body, 1, 1), Publish("v1/devices/me/telemetry", b'{"t": 1}', 1, 2))
    refused, stored = await client.receive(), await client.receive()
    assert isinstance(refused, PubAck)
    assert refused.reason_code == code
    assert stored == PubAck(2)
    await client.close()


async def test_a_gateway_device_is_given_what_is_for_its_devices_and_speaks_for_them(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    await registered(system.pod, f"{id_}-a", gateway=id_)
    await registered(system.pod, f"{id_}-b")
    async with peer(system.pod, id_, token) as gateway:
        assert await gateway.subscribe(f"v1/devices/{id_}-a/#", f"v1/devices/{id_}-b/#") == [1, 0x87]
        await shows(system, f"{id_}-a", connected=True)
        assert await gateway.get() == (f"v1/devices/{id_}-a/twin/desired", {"version": 0, "desired": {}})
        await command(system, f"{id_}-a", "c-1")
        assert await gateway.get() == (f"v1/devices/{id_}-a/commands/c-1/reboot", None)
        await gateway.publish(f"v1/devices/{id_}-a/commands/c-1/result", {"status": "failed", "payload": "no"})
        assert (await command_at_end(system, f"{id_}-a", "c-1"))["status"] == "failed"
        await gateway.publish(f"v1/devices/{id_}-a/twin/reported", {"rssi": -60})
        await shows(system, f"{id_}-a", reported={"rssi": -60})
    await shows(system, f"{id_}-a", connected=False)


async def test_a_device_takes_its_own_connection_over_on_another_pod(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    async with (
        peer(system.pods[0], id_, token, client_id="same") as before,
        peer(system.pods[1], id_, token, client_id="same") as device,
    ):
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(aiomqtt.MqttCodeError, match="taken over"):
                await before.client._disconnected
        await device.subscribe("v1/devices/me/commands/+/+")
        await command(system, id_, "c-1")
        assert (await device.get())[0] == "v1/devices/me/commands/c-1/reboot"
        await shows(system, id_, connected=True)


async def test_qos_2_is_counted_once_though_the_device_sends_it_again_to_another_pod(system: System, id_: str) -> None:
    """As when PUBREC is lost: the session tells the other pod what the message was stored as."""
    (token,) = await registered(system.pod, id_, room=f"room-of-{id_}")
    connect = Connect("same", clean_start=False, username=id_, password=token.encode())
    publish = Publish("v1/devices/me/telemetry", b'[{"t": 1}, {"t": 2}]', 2, 7)
    for pod in system.pods:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", pod.mqtt_port), MQTT_3_1_1)
        await client.send(connect)
        assert isinstance(await client.receive(), ConnAck)
        await client.send(publish)
        assert await client.receive() == PubRec(7)
        await client.close()
        publish = msgspec.structs.replace(publish, dup=True)
    async with peer(system.pod, id_, token) as device:
        await device.publish("v1/devices/me/telemetry", {"last": 1})

    async def room() -> dict[str, Any]:
        answer = await system.pod.admin.get(f"/v1/rooms/room-of-{id_}/twin")
        return dict(answer.json().get("metrics", {}))

    async def is_all_there() -> bool:
        return "last" in await room()

    await until(is_all_there, within_s=DEADLINE_S)
    assert (await room())["t"]["count"] == 2


async def test_a_gateway_is_sent_nothing_of_a_device_that_was_taken_from_it(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    await registered(system.pod, f"{id_}-a", f"{id_}-b", gateway=id_)
    async with peer(system.pod, id_, token) as gateway:
        await gateway.subscribe(f"v1/devices/{id_}-a/commands/#", f"v1/devices/{id_}-b/commands/#")
        await shows(system, f"{id_}-a", connected=True)
        await shows(system, f"{id_}-b", connected=True)
        await system.pod.admin.patch(f"/v1/devices/{id_}-a", json={"gateway": None})

        async def knows() -> bool:
            device = await system.pod.gateway.registered(f"{id_}-a")
            return device is not None and device.gateway is None

        await until(knows, within_s=DEADLINE_S)
        await command(system, f"{id_}-a", "c-1")
        await command(system, f"{id_}-b", "c-2")
        assert await gateway.get() == (f"v1/devices/{id_}-b/commands/c-2/reboot", None)


async def test_a_subscription_ends_when_its_device_is_given_to_another_gateway(system: System, id_: str) -> None:
    own, other = f"app/devices/{id_}/x", f"app/devices/{id_}-a/x"
    (token,) = await registered(system.pod, id_)
    await registered(system.pod, f"{id_}-a", gateway=id_)
    async with (
        peer(system.pod, id_, token, client_id="c", keeps_session=True) as gateway,
        peer(system.pods[1]) as admin,
    ):
        assert await gateway.subscribe(own, other) == [1, 1]
        await admin.publish(other, 1)
        assert await gateway.get() == (other, 1)
        await system.pod.admin.patch(f"/v1/devices/{id_}-a", json={"gateway": None})

        async def is_gone() -> bool:
            common = system.pod._api._mqtt._common  # type: ignore[union-attr]
            return f"{id_}-a" not in common.naming  # type: ignore[union-attr]

        await until(is_gone, within_s=DEADLINE_S)
        await admin.publish(other, 2)
        await admin.publish(own, 3)
        assert await gateway.get() == (own, 3)


async def test_a_device_whose_desired_state_is_too_large_for_it_is_given_each_command_once(
    system: System, id_: str
) -> None:
    (token,) = await registered(system.pod, id_)
    await desire(system, id_, {"text": "x" * 3000})
    client = RawClient(*await asyncio.open_connection("127.0.0.1", system.pod.mqtt_port), MQTT_5)
    small = Properties(maximum_packet_size=1024)
    await client.send(Connect("", MQTT_5, username=id_, password=token.encode(), properties=small))
    assert isinstance(await client.receive(), ConnAck)
    await client.send(Subscribe(1, (("v1/devices/me/#", Options(1)),)))
    assert isinstance(await client.receive(), SubAck)
    topics = []
    for number in range(3):
        await command(system, id_, f"c-{number}")
        message = await client.receive()
        assert isinstance(message, Publish)
        topics.append(message.topic)
        await client.send(PubAck(message.packet_id))

        async def is_delivered(which: str = f"c-{number}") -> bool:
            answer = await system.pod.admin.get(f"/v1/devices/{id_}/commands/{which}")
            return bool(answer.json()["status"] == "delivered")

        await until(is_delivered, within_s=DEADLINE_S)
    await client.send(PingReq())
    assert isinstance(await client.receive(), PingResp)
    assert topics == [f"v1/devices/me/commands/c-{number}/reboot" for number in range(3)]
    await client.close()
