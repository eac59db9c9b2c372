"""The MQTT server on a real socket, by raw packets: what it acknowledges, refuses and closes."""

from __future__ import annotations

import msgspec
import pytest
from chart_harness.waiting import until
from iot_system.adapters.mqtt import server
from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
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
)
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.errors import Overloaded, Unavailable

from tests.contract.mqtt.serving import DEADLINE_S, TELEMETRY, Served, reading, serving

HASTY = MqttLimits(refusal_pause_s=0.05, linger_s=0.5)


async def test_qos_1_is_acknowledged_after_it_is_stored_and_never_before(served: Served) -> None:
    client = await served.client()
    served.gateway.hold()
    await client.send(reading(1, 1))
    await served.gateway.called(1)
    await client.send(PingReq())
    assert await client.receive() == PingResp()
    served.gateway.release(0)
    assert await client.receive() == PubAck(1)
    assert served.stored("one", "t") == [1]


async def test_qos_0_is_stored_and_not_acknowledged(served: Served) -> None:
    client = await served.client()
    await client.send(reading(1), reading(2), reading(3, 9))
    assert await client.receive() == PubAck(9)
    assert served.stored("one", "t") == [1, 2, 3]


async def test_acknowledgements_keep_the_order_of_the_messages(served: Served) -> None:
    client = await served.client()
    served.gateway.hold()
    for number in (1, 2, 3):
        await client.send(reading(number, number))
        await served.gateway.called(number)
    for index in (2, 1, 0):
        served.gateway.release(index)
    assert [await client.receive() for _ in range(3)] == [PubAck(1), PubAck(2), PubAck(3)]


async def test_a_bad_message_is_not_acknowledged_its_neighbours_are_and_the_connection_closes() -> None:
    async with serving(HASTY) as served:
        client = await served.client()
        await client.send(reading(1, 1), Publish(TELEMETRY, b'{"t":NaN}', 1, 2), reading(3, 3))
        assert await client.receive_rest() == [PubAck(1), PubAck(3)]
        assert served.stored("one", "t") == [1, 3]
        await served.check_works()


@pytest.mark.parametrize(
    "bad",
    [
        Publish(TELEMETRY, b"{", 1, 1),
        Publish(TELEMETRY, b"\xff\xfe", 1, 1),
        Publish(TELEMETRY, b"[]", 1, 1),
        Publish(TELEMETRY, b"[" * 50_000, 1, 1),
        Publish(TELEMETRY, b'{"ts":99999999999999,"values":{"t":1}}', 1, 1),
        Publish("v1/devices/two/telemetry", b'{"t":1}', 1, 1),
        Publish("v1/devices/nobody/telemetry", b'{"t":1}', 1, 1),
        Publish("elsewhere", b'{"t":1}', 1, 1),
        Publish(TELEMETRY, b"{", 2, 1),
    ],
    ids=["json", "utf-8", "empty", "deep", "future", "not-its-own", "unknown", "topic", "qos-2"],
)
async def test_each_bad_message_ends_its_own_connection_only(bad: Publish) -> None:
    async with serving(HASTY) as served:
        client = await served.client()
        await client.send(bad)
        assert await client.receive_rest() == []
        await served.check_works()


async def test_a_bad_message_of_qos_0_is_dropped_and_the_connection_lives(served: Served) -> None:
    client = await served.client()
    await client.send(Publish(TELEMETRY, b"{"), Publish("elsewhere", b"{}"), reading(3, 3))
    assert await client.receive() == PubAck(3)


@pytest.mark.parametrize("failure", [Overloaded("full"), Unavailable("away")], ids=["overloaded", "unavailable"])
async def test_what_cannot_be_stored_now_is_not_acknowledged_and_gets_through_later(failure: Exception) -> None:
    async with serving(HASTY) as served:
        client = await served.client()
        served.gateway.failure = failure
        await client.send(reading(1, 1))
        assert await client.receive_rest() == []
        served.gateway.failure = None
        again = await served.client()
        await again.send(Publish(TELEMETRY, b'{"t":1}', 1, 1, dup=True))
        assert await again.receive() == PubAck(1)


async def test_an_oversized_packet_is_refused_by_its_header_alone(served: Served) -> None:
    client = await served.client()
    await client.send(reading(1, 1))
    assert await client.receive() == PubAck(1)
    await client.send_bytes(encode(Publish(TELEMETRY, b"x" * 200_000, 1, 2))[:60])
    assert await client.receive_rest() == []
    await served.check_works()


async def test_the_largest_payload_allowed_is_taken(served: Served) -> None:
    client = await served.client()
    text = b'{"t":"' + b"x" * (64 * 1024 - 8) + b'"}'
    await client.send(Publish(TELEMETRY, text, 1, 1), Publish(TELEMETRY, text + b" " * (128 * 1024 - len(text)), 1, 2))
    assert [await client.receive() for _ in range(2)] == [PubAck(1), PubAck(2)]


async def test_messages_before_a_malformed_packet_are_stored_and_acknowledged(served: Served) -> None:
    client = await served.client()
    await client.send_bytes(encode(reading(1, 1)) + b"\xf0\x00" + encode(reading(2, 2)))
    assert await client.receive_rest() == [PubAck(1)]
    assert served.stored("one", "t") == [1]


async def test_a_bad_message_of_mqtt_5_is_refused_with_its_reason_and_the_connection_lives(served: Served) -> None:
    client = await served.client(level=MQTT_5)
    await client.send(reading(1, 1), Publish(TELEMETRY, b"{", 1, 2), Publish("elsewhere", b"{}", 2, 3), reading(4, 4))
    answers = [await client.receive() for _ in range(4)]
    assert [(type(one), one.packet_id, one.reason_code) for one in answers if isinstance(one, PubAck | PubRec)] == [
        (PubAck, 1, ReasonCode.SUCCESS),
        (PubAck, 2, ReasonCode.PAYLOAD_FORMAT_INVALID),
        (PubRec, 3, ReasonCode.NOT_AUTHORIZED),
        (PubAck, 4, ReasonCode.SUCCESS),
    ]
    assert served.stored("one", "t") == [1, 4]


@pytest.mark.parametrize("level", [MQTT_3_1_1, MQTT_5])
async def test_qos_2_is_stored_once_and_received_after_that(served: Served, level: int) -> None:
    client = await served.client(level=level)
    served.gateway.hold()
    await client.send(Publish(TELEMETRY, b'{"t":1}', 2, 1))
    await served.gateway.called(1)
    await client.send(Publish(TELEMETRY, b'{"t":1}', 2, 1, dup=True), PingReq())
    assert await client.receive() == PingResp()
    served.gateway.release(0)
    assert [await client.receive() for _ in range(2)] == [PubRec(1), PubRec(1)]
    await client.send(PubRel(1))
    assert await client.receive() == PubComp(1)
    assert len(served.gateway.calls) == 1


async def test_a_device_may_subscribe_to_its_own_topics_only(served: Served) -> None:
    client = await served.client()
    filters = ("v1/devices/me/twin/desired", "v1/devices/two/twin/desired", "#")
    await client.send(Subscribe(1, tuple((one, Options(1)) for one in filters)))
    refused = ReasonCode.UNSPECIFIED_ERROR
    assert await client.receive() == SubAck(1, (ReasonCode.GRANTED_QOS_1, refused, refused))


async def test_the_administrator_speaks_for_any_device_by_its_name(served: Served) -> None:
    client = await served.client("admin")
    await client.send(reading(1, 1, topic="v1/devices/one/telemetry"), reading(2, 2, topic="v1/devices/two/telemetry"))
    assert [await client.receive() for _ in range(2)] == [PubAck(1), PubAck(2)]
    assert (served.stored("one", "t"), served.stored("two", "t")) == ([1], [2])


async def test_while_too_much_waits_to_be_durable_nobody_is_read_and_then_everybody_is() -> None:
    async with serving(MqttLimits(process_bytes=20_000)) as served:
        clients = [await served.client(device) for device in ("one", "two", "one")]
        served.gateway.hold()
        await clients[0].send(Publish(TELEMETRY, b'{"t":1}' + b" " * 30_000, 1, 1))
        await served.gateway.called(1)
        for client in clients[1:]:  # one more piece of input each is read, and no further one
            await client.send(reading(1, 1))
        await served.gateway.called(3)
        for client in clients[1:]:
            await client.send(reading(2, 2), PingReq())
        assert served.server._common is not None
        assert served.server._common.budget.is_spent
        served.gateway.release(1)
        assert await clients[1].receive() == PubAck(1)
        assert len(served.gateway.calls) == 3
        served.gateway.release(2)
        served.gateway.release(0)
        assert await clients[0].receive() == PubAck(1)
        await served.gateway.called(5)
        served.gateway.release(3)
        served.gateway.release(4)
        assert await clients[1].receive() == PingResp()
        assert await clients[1].receive() == PubAck(2)


async def test_a_subscription_ends_with_the_right_to_it_though_nobody_announces_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "RECHECK_EVERY_S", 0.1)
    async with serving() as served:
        devices, topic = served.gateway.devices, "app/devices/two/rechecked"
        devices["two"] = msgspec.structs.replace(devices["two"], gateway="one")
        client = await served.client("one", level=MQTT_5)
        await client.send(Subscribe(1, ((topic, Options(1)),)))
        assert await client.receive() == SubAck(1, (ReasonCode.GRANTED_QOS_1,))
        (member,) = served.router.attached.values()
        assert list(member.subscriptions) == [topic]
        devices["two"] = msgspec.structs.replace(devices["two"], gateway=None)
        await until(lambda: not member.subscriptions, within_s=DEADLINE_S)
