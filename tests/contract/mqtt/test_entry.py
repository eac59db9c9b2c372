"""Who is let in by the MQTT server and who is not, by raw packets on a real socket."""

from __future__ import annotations

import msgspec
import pytest
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_5, ConnAck, Connect, PingReq, PingResp, PubAck
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ConnectCode, ReasonCode
from iot_system.adapters.mqtt.server import MqttServer
from iot_system.errors import InvalidSetting

from tests.contract.mqtt.serving import Served, reading, serving


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\x00" * 20, encode(PingReq())]
)
async def test_what_is_not_mqtt_is_closed_without_a_word(noise: bytes) -> None:
    async with serving(MqttLimits(connect_timeout_s=0.5)) as served:
        client = await served.open()
        await client.send_bytes(noise)
        assert await client.receive_rest() == []
        await served.check_works()


@pytest.mark.parametrize(
    ("connect", "code"),
    [
        (Connect("c"), ConnectCode.CREDENTIALS),
        (Connect("c", username="one", password=b""), ConnectCode.CREDENTIALS),
        (Connect("c", username="one", password=b"\xff"), ConnectCode.CREDENTIALS),
        (Connect("c", username="../", password=b"x"), ConnectCode.CREDENTIALS),
        (Connect("c", username="one", password=b"wrong"), ConnectCode.NOT_AUTHORIZED),
        (Connect("", clean_start=False, username="one", password=b"x"), ConnectCode.CLIENT_ID),
        (Connect("c" * 300, username="one", password=b"x"), ConnectCode.CLIENT_ID),
    ],
)
async def test_who_is_not_let_in_is_told_by_the_return_code(served: Served, connect: Connect, code: int) -> None:
    client = await served.open()
    await client.send(connect)
    assert await client.receive_rest() == [ConnAck(code)]


async def test_a_client_of_an_older_protocol_is_told_that_it_is_not_spoken(served: Served) -> None:
    client = await served.open()
    body = b"\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01c"
    await client.send_bytes(bytes((0x10, len(body))) + body)
    assert await client.receive_rest() == [ConnAck(ConnectCode.PROTOCOL_LEVEL)]


async def test_a_client_of_mqtt_5_is_told_why_it_is_not_let_in(served: Served) -> None:
    client = await served.open(MQTT_5)
    await client.send(Connect("c", MQTT_5, username="one", password=b"wrong"))
    (answer,) = await client.receive_rest()
    assert isinstance(answer, ConnAck)
    assert answer.reason_code == ReasonCode.NOT_AUTHORIZED
    assert answer.properties.reason_string


async def test_a_device_cannot_come_in_with_another_s_token(served: Served) -> None:
    client = await served.open()
    await client.send(Connect("c", username="one", password=served.tokens["two"].encode()))
    assert await client.receive_rest() == [ConnAck(ConnectCode.NOT_AUTHORIZED)]


async def test_who_takes_an_identifier_over_ends_the_other_after_its_messages_are_stored(served: Served) -> None:
    first = await served.client(client_id="same")
    served.gateway.hold()
    await first.send(reading(1, 1))
    await served.gateway.called(1)
    second = await served.client(client_id="same")
    served.gateway.release(0)
    assert await first.receive_rest() == [PubAck(1)]
    await second.send(reading(2, 2))
    await served.gateway.called(2)
    served.gateway.release(1)
    assert await second.receive() == PubAck(2)


async def test_an_identifier_counts_within_its_device_only(served: Served) -> None:
    one = await served.client("one", client_id="same")
    two = await served.client("two", client_id="same")
    for client in (one, two):
        await client.send(PingReq())
        assert await client.receive() == PingResp()


async def test_clients_without_an_identifier_take_nothing_over(served: Served) -> None:
    clients = [await served.client() for _ in range(3)]
    for client in clients:
        await client.send(PingReq())
        assert await client.receive() == PingResp()


async def test_over_the_limit_of_connections_a_client_is_closed_and_the_others_live() -> None:
    async with serving(MqttLimits(connections=2)) as served:
        clients = [await served.client(device) for device in ("one", "two")]
        third = await served.open()
        assert await third.receive_rest() == []
        for client in clients:
            await client.send(PingReq())
            assert await client.receive() == PingResp()


async def test_who_keeps_too_many_sessions_is_not_let_in_and_others_are() -> None:
    kept = Properties(session_expiry_interval=1)
    async with serving(MqttLimits(sessions=2)) as served:
        for number in range(2):
            client = await served.open(MQTT_5)
            connect = served.connect("one", client_id=f"kept-{number}", level=MQTT_5)
            await client.send(msgspec.structs.replace(connect, properties=kept))
            assert isinstance(await client.receive(), ConnAck)
        refused = await served.open(MQTT_5)
        connect = served.connect("one", client_id="one-more", level=MQTT_5)
        await refused.send(msgspec.structs.replace(connect, properties=kept))
        (answer,) = await refused.receive_rest()
        assert isinstance(answer, ConnAck)
        assert answer.reason_code == ReasonCode.QUOTA_EXCEEDED
        assert answer.properties.reason_string == "2 sessions are kept for you; the limit is 2: end some of them"
        await served.client("one", client_id="one-more", level=MQTT_5)
        await served.check_works()


async def test_who_says_nothing_is_closed_in_time() -> None:
    async with serving(MqttLimits(connect_timeout_s=0.1)) as served:
        client = await served.open()
        assert await client.receive_rest() == []


async def test_a_port_that_is_taken_stops_the_start_with_one_sentence(served: Served) -> None:
    with pytest.raises(InvalidSetting, match=f"cannot listen on 127.0.0.1:{served.port}"):
        await MqttServer(served.gateway, served.router, host="127.0.0.1", port=served.port).start()
