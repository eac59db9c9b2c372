"""Valid conversations of both versions, and what a broken line or an attacker makes of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from iot_system.adapters.mqtt.encoding import encode
from iot_system.adapters.mqtt.packets import (
    MQTT_3_1_1,
    MQTT_5,
    Auth,
    Connect,
    Disconnect,
    Options,
    Packet,
    PingReq,
    PubAck,
    Publish,
    PubRel,
    Subscribe,
    Unsubscribe,
    Will,
)
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties
from iot_system.adapters.mqtt.reasons import ReasonCode

_TOPIC = "v1/devices/me/telemetry"


def conversation(level: int, chance: random.Random) -> list[bytes]:
    """A client's packets, as it sends them: CONNECT, then any others in any order."""
    is_v5 = level == MQTT_5
    will = Will("app/gone", b"1", 1, properties=Properties(will_delay_interval=5) if is_v5 else NO_PROPERTIES)
    wishes = Properties(
        session_expiry_interval=60,
        receive_maximum=2,
        maximum_packet_size=200,
        topic_alias_maximum=2,
        request_problem_information=chance.randrange(2),
        user_property=(("a", "b"),),
    )
    properties = wishes if is_v5 else NO_PROPERTIES
    hello = Connect("client", level, chance.random() < 0.5, 60, "one", b"secret", will, properties)
    rest = chance.choices(_PACKETS_5 if is_v5 else _PACKETS, k=chance.randrange(1, 6))
    return [encode(packet, level) for packet in (hello, *rest)]


def mutated(packets: Sequence[bytes], chance: random.Random) -> bytes:
    """The same bytes with a few of them changed, mostly behind CONNECT, so that it is often let in."""
    head, body = packets[0], bytearray(b"".join(packets[1:]))
    if chance.random() < 0.3:
        head, body = b"", bytearray(b"".join(packets))
    for _ in range(chance.randrange(1, 5)):
        _change(body, chance)
    return head + bytes(body)


def _change(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) or 1)
    match chance.randrange(6):
        case 0 if data:
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            data[at:at] = chance.randbytes(chance.randrange(1, 4))
        case 2:
            del data[at : at + chance.randrange(1, 4)]
        case 3 if data:
            data[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        case 4:  # a stretch of its own again
            data[at:at] = data[chance.randrange(len(data) or 1) :][:40]
        case _:
            del data[at:]


_PACKETS: list[Packet] = [
    Publish(_TOPIC, b'{"t":1}'),
    Publish(_TOPIC, b'{"t":1}' * 20, 1, 7),
    Publish("app/x", b"x", 2, 8),
    Publish("app/x", b"x", 2, 8, dup=True, retain=True),
    PubRel(8),
    PubAck(1),
    PubAck(2),
    Subscribe(3, (("app/#", Options(1)), ("$share/g/a/+", Options(2)))),
    Unsubscribe(4, ("app/#", "b")),
    PingReq(),
    Disconnect(),
]
_SAID = Properties(
    payload_format_indicator=1,
    message_expiry_interval=60,
    content_type="text",
    response_topic="app/answer",
    correlation_data=b"c",
    user_property=(("a", "1"), ("a", "2")),
)
_PACKETS_5: list[Packet] = [
    *_PACKETS,
    Publish("app/x", b"x", 1, 9, properties=Properties(topic_alias=1)),
    Publish("", b"x", 1, 10, properties=Properties(topic_alias=1)),
    Publish("app/x", b"x", 2, 11, properties=_SAID),
    PubAck(1, ReasonCode.QUOTA_EXCEEDED, Properties(reason_string="full")),
    PubRel(11, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND),
    Subscribe(5, (("app/#", Options(1, True, True, 2)),), Properties(subscription_identifier=(7,))),
    Unsubscribe(6, ("app/#",), Properties(user_property=(("a", "b"),))),
    Auth(ReasonCode.RE_AUTHENTICATE),
    Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE, Properties(session_expiry_interval=5)),
]
LEVELS = (MQTT_3_1_1, MQTT_5)
