"""What a client is answered to PUBLISH, SUBSCRIBE, UNSUBSCRIBE and PINGREQ, and what comes after DISCONNECT."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Disconnect,
    Options,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from iot_system.adapters.mqtt.reasons import SUBSCRIPTION_REFUSED, ReasonCode

from tests.contract.mqtt.serving import DEADLINE_S, TELEMETRY, Served

LEVELS = [MQTT_3_1_1, MQTT_5]
GRANTED, GRANTED_1 = ReasonCode.SUCCESS, ReasonCode.GRANTED_QOS_1
OWN, OTHER, OF_TWO = "v1/devices/me/twin/desired", "v1/devices/me/commands/+/+", "v1/devices/two/twin/desired"


def reading(number: int, qos: int, packet_id: int = 0, *, dup: bool = False) -> Publish:
    return Publish(TELEMETRY, b'{"ts":%d,"values":{"t":%d}}' % (number, number), qos, packet_id, dup)


@pytest.mark.parametrize("level", LEVELS)
async def test_each_qos_has_its_own_answer_with_the_packet_s_identifier(served: Served, level: int) -> None:
    client = await served.client(level=level)
    await client.send(reading(1, 0), reading(2, 1, 7), reading(3, 2, 65_535))
    assert [await client.receive() for _ in range(2)] == [PubAck(7), PubRec(65_535)]
    await client.send(PubRel(65_535))
    assert await client.receive() == PubComp(65_535)
    assert served.stored("one", "t") == [1, 2, 3]


@pytest.mark.parametrize("level", LEVELS)
async def test_an_identifier_that_was_acknowledged_is_a_new_message_s_whatever_dup_says(
    served: Served, level: int
) -> None:
    client = await served.client(level=level)
    for number in (1, 2):
        await client.send(reading(number, 1, 7, dup=number == 2))
        assert await client.receive() == PubAck(7)
    assert served.stored("one", "t") == [1, 2]


@pytest.mark.parametrize("level", LEVELS)
async def test_an_identifier_of_qos_2_counts_until_it_is_released(served: Served, level: int) -> None:
    client = await served.client(level=level)
    await client.send(reading(1, 2, 7), reading(1, 2, 7, dup=True))
    assert [await client.receive() for _ in range(2)] == [PubRec(7), PubRec(7)]
    assert len(served.gateway.calls) == 1
    await client.send(PubRel(7), reading(2, 2, 7))
    assert [await client.receive() for _ in range(2)] == [PubComp(7), PubRec(7)]
    assert served.stored("one", "t") == [1, 2]


async def test_an_identifier_of_a_refused_message_of_qos_2_is_free_again(served: Served) -> None:
    client = await served.client(level=MQTT_5)
    await client.send(Publish(TELEMETRY, b"{", 2, 7))
    refused = await client.receive()
    assert isinstance(refused, PubRec)
    assert refused.reason_code == ReasonCode.PAYLOAD_FORMAT_INVALID
    await client.send(reading(1, 2, 7))
    assert await client.receive() == PubRec(7)
    assert served.stored("one", "t") == [1]


@pytest.mark.parametrize("level", LEVELS)
async def test_a_subscription_is_answered_filter_by_filter_in_their_order(served: Served, level: int) -> None:
    client = await served.client(level=level)
    filters = ((OF_TWO, Options(0)), (OWN, Options(1)), (OF_TWO, Options(1)), (OTHER, Options(0)))
    await client.send(Subscribe(513, filters))
    refused = ReasonCode(SUBSCRIPTION_REFUSED) if level == MQTT_3_1_1 else ReasonCode.NOT_AUTHORIZED
    assert await client.receive() == SubAck(513, (refused, GRANTED_1, refused, GRANTED))


@pytest.mark.parametrize("level", LEVELS)
async def test_no_more_than_qos_1_is_granted_and_2_may_be_asked_for(served: Served, level: int) -> None:
    client = await served.client(level=level)
    await client.send(Subscribe(1, ((OWN, Options(2)),)))
    assert await client.receive() == SubAck(1, (GRANTED_1,))


@pytest.mark.parametrize("level", LEVELS)
async def test_an_unsubscription_is_answered_whether_there_was_a_subscription_or_not(
    served: Served, level: int
) -> None:
    client = await served.client(level=level)
    await client.send(
        Subscribe(1, ((OWN, Options(1)),)), Unsubscribe(2, (OTHER, OWN, OWN.upper())), Unsubscribe(3, (OWN,))
    )
    assert await client.receive() == SubAck(1, (GRANTED_1,))
    gone, none = ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED
    answers = [UnsubAck(2, (none, gone, none)), UnsubAck(3, (none,))]
    if level == MQTT_3_1_1:
        answers = [UnsubAck(2), UnsubAck(3)]
    assert [await client.receive() for _ in range(2)] == answers


@pytest.mark.parametrize("level", LEVELS)
async def test_each_ping_is_answered(served: Served, level: int) -> None:
    client = await served.client(level=level)
    await client.send(PingReq(), PingReq(), PingReq())
    assert [await client.receive() for _ in range(3)] == [PingResp()] * 3


@pytest.mark.parametrize("level", LEVELS)
async def test_after_disconnect_nothing_is_looked_at_or_sent_and_the_connection_is_closed(
    served: Served, level: int
) -> None:
    client = await served.client(level=level)
    await client.send(Disconnect(), reading(1, 1, 1), PingReq())
    assert await client.receive_rest() == []
    assert served.gateway.calls == []


async def test_nothing_is_sent_behind_the_server_s_own_disconnect(served: Served) -> None:
    client = await served.client(level=MQTT_5)
    await client.send_bytes(b"\xf1\x00" + b"\xc0\x00" * 10)
    (goodbye,) = await client.receive_rest()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.properties.session_expiry_interval is None


async def test_a_stop_says_goodbye_to_every_client_though_one_has_gone_a_moment_before(served: Served) -> None:
    """The server has not noticed yet that the kernel has ended the connection."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", served.port)) as gone:
        gone.setblocking(False)
        await loop.sock_sendall(gone, encode(served.connect("two")))
        await loop.sock_recv(gone, 4)
        client = await served.client(level=MQTT_5)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await served.server.stop(DEADLINE_S)
    (goodbye,) = await client.receive_rest()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason_code == ReasonCode.SERVER_SHUTTING_DOWN
