"""Each packet that breaks a rule ends its connection; the tests are named by the rule's id in the standard."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, ConnAck, Disconnect
from iot_system.adapters.mqtt.reasons import ReasonCode
from prometheus_client import REGISTRY

from tests.contract.mqtt.serving import Served

BROKEN = ("malformed", "protocol")
MALFORMED, PROTOCOL_ERROR = ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR
ALIAS_INVALID = ReasonCode.TOPIC_ALIAS_INVALID


def of(first: int, body: bytes) -> bytes:
    """A packet."""
    return bytes((first, len(body))) + body


def text(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def connect(level: int, flags: int, *fields: bytes) -> bytes:
    """A CONNECT: its flags, and what stands behind the keep-alive."""
    return of(0x10, text(b"MQTT") + bytes((level, flags)) + b"\x00\x00" + b"".join(fields))


LATIN, SURROGATE, NUL = b"\xe9", b"\xed\xa0\x80", b"a\x00b"
OWN = b"app/devices/one/"
"""Below this the client may publish: 3.1.1 ends a connection without a word for any other topic as well."""
ID, TOO_LONG = b"\x00\x01", b"\x00\x09a"
NO_PROPERTIES = b"\x00"


def publish(topic: bytes, *, first: int = 0x30) -> bytes:
    return of(first, text(topic))


BREAKS = [
    ("1.5.3-1", publish(OWN + LATIN)),
    ("1.5.3-1 surrogate", publish(OWN + SURROGATE)),
    ("1.5.3-2", publish(OWN + NUL)),
    ("2.2.2-2 PUBACK", of(0x41, ID)),
    ("2.2.2-2 PUBREC", of(0x51, ID)),
    ("2.2.2-2 PINGREQ", of(0xC1, b"")),
    ("2.2.2-2 PINGRESP", of(0xD2, b"")),
    ("2.3.1-1 PUBLISH", of(0x32, text(OWN + b"x") + b"\x00\x00")),
    ("2.3.1-1 SUBSCRIBE", of(0x82, b"\x00\x00" + text(b"a") + b"\x00")),
    ("2.3.1-1 UNSUBSCRIBE", of(0xA2, b"\x00\x00" + text(b"a"))),
    ("3.1.0-2", connect(4, 0x02, text(b"c"))),
    ("3.3.1-2", publish(OWN + b"x", first=0x38)),
    ("3.3.1-4", of(0x36, text(OWN + b"x") + ID)),
    ("3.3.2-1", of(0x30, TOO_LONG)),
    ("3.3.2-2", publish(OWN + b"#")),
    ("3.6.1-1", of(0x60, ID)),
    ("3.8.1-1", of(0x80, ID + text(b"a") + b"\x00")),
    ("3.8.3-1", of(0x82, ID + text(LATIN) + b"\x00")),
    ("3.8.3-3", of(0x82, ID)),
    ("3.8.3-4 reserved bit", of(0x82, ID + text(b"a") + b"\x04")),
    ("3.8.3-4 QoS 3", of(0x82, ID + text(b"a") + b"\x03")),
    ("3.10.1-1", of(0xA0, ID + text(b"a"))),
    ("3.10.3-1", of(0xA2, ID + text(LATIN))),
    ("3.10.3-2", of(0xA2, ID)),
    ("3.14.1-1", of(0xE1, b"")),
    ("4.7.1-1", publish(OWN + b"+")),
    ("4.7.1-2", of(0x82, ID + text(b"a#") + b"\x00")),
    ("4.7.1-2 not last", of(0x82, ID + text(b"a/#/b") + b"\x00")),
    ("4.7.1-3", of(0x82, ID + text(b"a+/b") + b"\x00")),
    ("4.7.3-1 name", publish(b"")),
    ("4.7.3-1 filter", of(0x82, ID + text(b"") + b"\x00")),
    ("4.7.3-2 name", publish(OWN + NUL)),
    ("4.7.3-2 filter", of(0x82, ID + text(NUL) + b"\x00")),
    ("4.8.0-1", of(0x20, b"\x00\x00")),
]
"""Of 3.1.1."""

CONNECT_BREAKS = [
    ("3.1.0-1", of(0xC0, b"")),
    ("3.1.2-1", of(0x10, text(b"mqtt") + b"\x04\x02\x00\x00" + text(b"c"))),
    ("3.1.2-3", connect(4, 0x03, text(b"c"))),
    ("3.1.2-9 no topic", connect(4, 0x06, text(b"c"))),
    ("3.1.2-9 no message", connect(4, 0x06, text(b"c"), text(b"app/w"))),
    ("3.1.2-11 QoS", connect(4, 0x0A, text(b"c"))),
    ("3.1.2-11 fields", connect(4, 0x02, text(b"c"), text(b"app/w"), text(b"gone"))),
    ("3.1.2-13", connect(4, 0x12, text(b"c"))),
    ("3.1.2-14", connect(4, 0x1E, text(b"c"), text(b"app/w"), text(b"gone"))),
    ("3.1.2-15", connect(4, 0x22, text(b"c"))),
    ("3.1.2-18", connect(4, 0x02, text(b"c"), text(b"one"))),
    ("3.1.2-19", connect(4, 0x82, text(b"c"))),
    ("3.1.2-20", connect(4, 0x82, text(b"c"), text(b"one"), text(b"secret"))),
    ("3.1.2-21", connect(4, 0xC2, text(b"c"), text(b"one"))),
    ("3.1.2-22", connect(4, 0x42, text(b"c"), text(b"secret"))),
    ("3.1.3-1 password before the user name", connect(4, 0xC2, text(b"c"), text(b"\xff"), text(b"one"))),
    ("3.1.3-3", connect(4, 0x02)),
    ("3.1.3-4", connect(4, 0x02, text(LATIN))),
    ("3.1.3-10", connect(4, 0x06, text(b"c"), text(LATIN), text(b"gone"))),
    ("3.1.3-11", connect(4, 0x82, text(b"c"), text(LATIN))),
    ("3.1.4-1", connect(4, 0x02, TOO_LONG)),
]
"""Of 3.1.1, by the first packet."""

BREAKS_5 = [
    ("1.5.4-1", of(0x30, text(LATIN) + NO_PROPERTIES), MALFORMED),
    ("1.5.4-1 surrogate", of(0x30, text(SURROGATE) + NO_PROPERTIES), MALFORMED),
    ("1.5.4-2", of(0x30, text(NUL) + NO_PROPERTIES), MALFORMED),
    ("1.5.5-1", of(0x30, text(b"a") + b"\x80\x00"), MALFORMED),
    ("1.5.7-1 name", of(0x30, text(b"a") + b"\x07\x26" + text(LATIN) + text(b"x")), MALFORMED),
    ("1.5.7-1 value", of(0x30, text(b"a") + b"\x07\x26" + text(b"x") + text(LATIN)), MALFORMED),
    ("2.1.3-1 PUBACK", of(0x41, ID), MALFORMED),
    ("2.1.3-1 PUBREC", of(0x51, ID), MALFORMED),
    ("2.1.3-1 PUBCOMP", of(0x71, ID), MALFORMED),
    ("2.1.3-1 PINGREQ", of(0xC1, b""), MALFORMED),
    ("2.2.1-3 PUBLISH", of(0x32, text(b"a") + b"\x00\x00" + NO_PROPERTIES), MALFORMED),
    ("2.2.1-3 SUBSCRIBE", of(0x82, b"\x00\x00" + NO_PROPERTIES + text(b"a") + b"\x00"), MALFORMED),
    ("2.2.1-3 UNSUBSCRIBE", of(0xA2, b"\x00\x00" + NO_PROPERTIES + text(b"a")), MALFORMED),
    ("2.2.2-1", of(0x30, text(b"a")), MALFORMED),
    ("3.1.0-2", connect(5, 0x02, NO_PROPERTIES, text(b"c")), PROTOCOL_ERROR),
    ("3.3.1-2", of(0x38, text(b"a") + NO_PROPERTIES), MALFORMED),
    ("3.3.1-4", of(0x36, text(b"a") + ID + NO_PROPERTIES), MALFORMED),
    ("3.3.2-1", of(0x30, TOO_LONG), MALFORMED),
    ("3.3.2-2", of(0x30, text(b"a/+") + NO_PROPERTIES), MALFORMED),
    ("3.3.2-8", of(0x30, text(b"a") + b"\x03\x23\x00\x00"), ALIAS_INVALID),
    ("3.3.2-9", of(0x30, text(b"a") + b"\x03\x23\x00\x41"), ALIAS_INVALID),
    ("3.3.2-13", of(0x30, text(b"a") + b"\x04\x08" + text(LATIN)), MALFORMED),
    ("3.3.2-14", of(0x30, text(b"a") + b"\x06\x08" + text(b"a/#")), PROTOCOL_ERROR),
    ("3.3.2-19", of(0x30, text(b"a") + b"\x04\x03" + text(LATIN)), MALFORMED),
    ("3.3.4-6", of(0x30, text(b"a") + b"\x02\x0b\x01"), PROTOCOL_ERROR),
    ("3.6.1-1", of(0x60, ID), MALFORMED),
    ("3.8.1-1", of(0x80, ID + NO_PROPERTIES + text(b"a") + b"\x00"), MALFORMED),
    ("3.8.3-1", of(0x82, ID + NO_PROPERTIES + text(LATIN) + b"\x00"), MALFORMED),
    ("3.8.3-2", of(0x82, ID + NO_PROPERTIES), MALFORMED),
    ("3.8.3-4", of(0x82, ID + NO_PROPERTIES + text(b"$share/g/a") + b"\x04"), PROTOCOL_ERROR),
    ("3.8.3-5", of(0x82, ID + NO_PROPERTIES + text(b"a") + b"\x80"), MALFORMED),
    ("3.10.1-1", of(0xA0, ID + NO_PROPERTIES + text(b"a")), MALFORMED),
    ("3.10.3-1", of(0xA2, ID + NO_PROPERTIES + text(LATIN)), MALFORMED),
    ("3.10.3-2", of(0xA2, ID + NO_PROPERTIES), MALFORMED),
    ("3.14.1-1", of(0xE1, b""), MALFORMED),
    ("3.14.2-1", of(0xE0, b"\x01"), MALFORMED),
    ("3.15.1-1", of(0xF1, b""), MALFORMED),
    ("3.15.2-1", of(0xF0, b"\x01"), MALFORMED),
    ("4.7.0-1", of(0x30, text(b"a/#") + NO_PROPERTIES), MALFORMED),
    ("4.7.1-1", of(0x82, ID + NO_PROPERTIES + text(b"a#") + b"\x00"), MALFORMED),
    ("4.7.1-1 not last", of(0x82, ID + NO_PROPERTIES + text(b"#/a") + b"\x00"), MALFORMED),
    ("4.7.1-2", of(0x82, ID + NO_PROPERTIES + text(b"a/b+") + b"\x00"), MALFORMED),
    ("4.7.3-1 name", of(0x30, text(b"") + NO_PROPERTIES), PROTOCOL_ERROR),
    ("4.7.3-1 filter", of(0x82, ID + NO_PROPERTIES + text(b"") + b"\x00"), MALFORMED),
    ("4.7.3-2 name", of(0x30, text(NUL) + NO_PROPERTIES), MALFORMED),
    ("4.7.3-2 filter", of(0x82, ID + NO_PROPERTIES + text(NUL) + b"\x00"), MALFORMED),
    ("4.12.0-7", of(0xF0, b"\x18\x00"), PROTOCOL_ERROR),
    ("4.13.1-1 what a server sends", of(0x20, b"\x00\x00\x00"), PROTOCOL_ERROR),
]
"""Of MQTT 5, with what the client is told."""

CONNECT_BREAKS_5 = [
    ("3.1.2-3", connect(5, 0x03, NO_PROPERTIES, text(b"c")), MALFORMED),
    ("3.1.2-9 no topic", connect(5, 0x06, NO_PROPERTIES, text(b"c"), NO_PROPERTIES), MALFORMED),
    ("3.1.2-9 no payload", connect(5, 0x06, NO_PROPERTIES, text(b"c"), NO_PROPERTIES, text(b"app/w")), MALFORMED),
    ("3.1.2-11", connect(5, 0x0A, NO_PROPERTIES, text(b"c")), MALFORMED),
    ("3.1.2-12", connect(5, 0x1E, NO_PROPERTIES, text(b"c"), NO_PROPERTIES, text(b"w"), text(b"")), MALFORMED),
    ("3.1.2-13", connect(5, 0x22, NO_PROPERTIES, text(b"c")), MALFORMED),
    ("3.1.2-16", connect(5, 0x02, NO_PROPERTIES, text(b"c"), text(b"one")), MALFORMED),
    ("3.1.2-17", connect(5, 0x82, NO_PROPERTIES, text(b"c")), MALFORMED),
    ("3.1.2-18", connect(5, 0x82, NO_PROPERTIES, text(b"c"), text(b"one"), text(b"x")), MALFORMED),
    ("3.1.2-19", connect(5, 0xC2, NO_PROPERTIES, text(b"c"), text(b"one")), MALFORMED),
    ("3.1.3-1 password before the user name", connect(5, 0xC2, NO_PROPERTIES, text(b"c"), text(b"\xff"), text(b"one")),
     MALFORMED),
    ("3.1.3-3", connect(5, 0x02, NO_PROPERTIES), MALFORMED),
    ("3.1.3-4", connect(5, 0x02, NO_PROPERTIES, text(LATIN)), MALFORMED),
    ("3.1.3-11", connect(5, 0x06, NO_PROPERTIES, text(b"c"), NO_PROPERTIES, text(LATIN), text(b"")), MALFORMED),
    ("3.1.3-12", connect(5, 0x82, NO_PROPERTIES, text(b"c"), text(LATIN)), MALFORMED),
    ("3.1.4-1", connect(5, 0x02, NO_PROPERTIES, TOO_LONG), MALFORMED),
]  # fmt: skip
"""Of MQTT 5, by the first packet."""


def broken_rules() -> float:
    """How many connections the server has ended for a broken rule, not for what a client may not do, or an error."""
    return sum(REGISTRY.get_sample_value("iot_mqtt_refused_total", {"reason": why}) or 0 for why in BROKEN)


def named(breaks: Sequence[tuple[str, *tuple[object, ...]]]) -> list[object]:
    """Each break as a parameter with the rule's id as its name."""
    return [pytest.param(*rest, id=name) for name, *rest in breaks]


@pytest.mark.parametrize("data", named(BREAKS))
async def test_a_packet_that_breaks_a_rule_of_3_1_1_ends_the_connection_without_a_word(
    served: Served, data: bytes
) -> None:
    client = await served.client(level=MQTT_3_1_1)
    before = broken_rules()
    await client.send_bytes(data)
    assert await client.receive_rest() == []
    assert broken_rules() == before + 1
    await served.check_works()


@pytest.mark.parametrize("data", named(CONNECT_BREAKS))
async def test_a_first_packet_that_breaks_a_rule_of_3_1_1_gets_no_connack(served: Served, data: bytes) -> None:
    client = await served.open(MQTT_3_1_1)
    await client.send_bytes(data)
    assert await client.receive_rest() == []
    await served.check_works()


@pytest.mark.parametrize(("data", "code"), named(BREAKS_5))
async def test_a_packet_that_breaks_a_rule_of_mqtt_5_ends_the_connection_with_its_reason(
    served: Served, data: bytes, code: ReasonCode
) -> None:
    client = await served.client(level=MQTT_5)
    await client.send_bytes(data)
    (goodbye,) = await client.receive_rest()
    assert isinstance(goodbye, Disconnect)
    assert goodbye.reason_code == code
    await served.check_works()


@pytest.mark.parametrize(("data", "code"), named(CONNECT_BREAKS_5))
async def test_a_connect_that_breaks_a_rule_of_mqtt_5_is_answered_with_its_reason_and_closed(
    served: Served, data: bytes, code: ReasonCode
) -> None:
    client = await served.open(MQTT_5)
    await client.send_bytes(data)
    assert await client.receive_rest() == [ConnAck(code)]
    await served.check_works()
