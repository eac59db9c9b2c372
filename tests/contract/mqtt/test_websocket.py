"""MQTT over WebSocket on the HTTP port, by clients that others wrote, and by frames that none of them sends."""

from __future__ import annotations

import asyncio
import json
from itertools import count

import aiomqtt
import pytest
from iot_system.adapters.mqtt.decoding import Decoder
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, ConnAck, Connect, Packet, PingReq, PingResp, PubAck, Publish
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.contract.mqtt.peers import DEADLINE_S, peer, registered
from tests.harness.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")
MQTT = [Subprotocol("mqtt")]
_numbers = count(1)


@pytest.fixture
def id_() -> str:
    """A device of this test alone."""
    return f"web-{next(_numbers)}"


def address(system: System, path: str = "/mqtt") -> str:
    return system.pod.url.replace("http", "ws", 1) + path


async def packets(socket: ClientConnection, number: int) -> list[Packet]:
    decoder, found = Decoder(1 << 20, 1 << 20, MQTT_3_1_1), list[Packet]()
    async with asyncio.timeout(DEADLINE_S):
        while len(found) < number:
            data = await socket.recv()
            assert isinstance(data, bytes)
            decoder.feed(data, found)
    return found


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
async def test_a_device_does_over_websocket_what_it_does_over_tcp(
    system: System, id_: str, version: aiomqtt.ProtocolVersion
) -> None:
    (token,) = await registered(system.pod, id_)
    async with peer(system.pod, id_, token, version=version, transport="websockets") as device:
        await device.subscribe("v1/devices/me/commands/+/+")
        await asyncio.gather(*(device.publish("v1/devices/me/telemetry", {"t": number}) for number in range(100)))
        await device.publish("v1/devices/me/telemetry", {"text": "x" * 60_000}, qos=2)
        await system.pod.admin.post(f"/v1/devices/{id_}/commands", json={"id": "c-1", "name": "reboot"})
        assert (await device.get())[0] == "v1/devices/me/commands/c-1/reboot"


async def test_an_application_talks_to_one_on_tcp(system: System, id_: str) -> None:
    async with peer(system.pod, transport="websockets") as page, peer(system.pods[1]) as program:
        await page.subscribe(f"app/{id_}")
        await program.publish(f"app/{id_}", {"n": 1})
        assert await page.get() == (f"app/{id_}", {"n": 1})


async def test_frames_may_bear_parts_of_packets_and_several(system: System, id_: str) -> None:
    (token,) = await registered(system.pod, id_)
    said = encode(Connect("", keep_alive_s=60, username=id_, password=token.encode())) + b"".join(
        encode(Publish("v1/devices/me/telemetry", json.dumps({"t": n}).encode(), 1, n)) for n in range(1, 11)
    )
    async with connect(address(system), subprotocols=MQTT, compression=None) as socket:
        for start in range(0, 60, 7):
            await socket.send(said[start : min(start + 7, 60)])
        await socket.send([said[60:100], said[100:]])
        acknowledged, *rest = await packets(socket, 11)
        assert acknowledged == ConnAck(0)
        assert rest == [PubAck(n) for n in range(1, 11)]
        await socket.send(encode(PingReq()))
        assert await packets(socket, 1) == [PingResp()]


async def test_text_is_refused(system: System) -> None:
    async with connect(address(system), subprotocols=MQTT) as socket:
        await socket.send("MQTT")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


async def test_a_frame_larger_than_any_packet_is_refused_by_its_header(system: System) -> None:
    async with connect(address(system), subprotocols=MQTT, compression=None) as socket:
        socket.transport.write(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    ("path", "protocols", "status"), [("/mqtt", None, 400), ("/mqtt", ["soap"], 400), ("/v1/devices", MQTT, 401)]
)
async def test_only_mqtt_is_spoken_and_only_there(
    system: System, path: str, protocols: list[Subprotocol] | None, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(address(system, path), subprotocols=protocols):
            pass
    assert refused.value.response.status_code == status


async def test_what_is_not_mqtt_is_closed_and_the_goodbye_is_websocket_s(system: System) -> None:
    async with connect(address(system), subprotocols=MQTT) as socket:
        await socket.send(b"\x00" * 20)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000
