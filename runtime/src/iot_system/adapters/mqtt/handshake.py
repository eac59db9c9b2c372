"""What client and server agree on by CONNECT and CONNACK (3.1.2.11, 3.2.2.3)."""

from __future__ import annotations

import msgspec

from iot_system.adapters.mqtt.limits import HEADERS_BYTES, MqttLimits
from iot_system.adapters.mqtt.packets import MQTT_5, ConnAck, Connect
from iot_system.adapters.mqtt.properties import Properties
from iot_system.adapters.mqtt.reasons import ReasonCode, connect_code

_RECEIVE_MAXIMUM = 0xFFFF
"""Where the client names none (3.1.2.11.3); 3.1.1 knows none."""


class Terms(msgspec.Struct, frozen=True):
    """What the server must keep to with this client. ``keep_alive_s`` 0 is none."""

    keep_alive_s: int
    session_expiry_interval_s: int
    receive_maximum: int = _RECEIVE_MAXIMUM
    topic_alias_maximum: int = 0


def agree(connect: Connect, limits: MqttLimits) -> Terms:
    """The client's wishes within the server's limits."""
    if connect.protocol_level != MQTT_5:
        return Terms(connect.keep_alive_s, 0 if connect.clean_start else limits.session_expiry_s)
    asked = connect.properties
    keep_alive_s = connect.keep_alive_s
    if limits.server_keep_alive_s and not 0 < keep_alive_s <= limits.server_keep_alive_s:
        keep_alive_s = limits.server_keep_alive_s
    return Terms(
        keep_alive_s=keep_alive_s,
        session_expiry_interval_s=min(asked.session_expiry_interval or 0, limits.session_expiry_s),
        receive_maximum=asked.receive_maximum or _RECEIVE_MAXIMUM,
        topic_alias_maximum=min(asked.topic_alias_maximum or 0, limits.topic_aliases),
    )


def acceptance(
    connect: Connect,
    terms: Terms,
    limits: MqttLimits,
    client_id: str,
    session_present: bool,
    response_information: str | None,
) -> ConnAck:
    """The CONNACK that lets a client in. All subscription features and QoS are there: their properties are left out."""
    if connect.protocol_level != MQTT_5:
        return ConnAck(ReasonCode.SUCCESS, session_present)
    asked = connect.properties
    properties = Properties(
        session_expiry_interval=_if_other(terms.session_expiry_interval_s, asked.session_expiry_interval or 0),
        receive_maximum=_if_other(limits.receive_maximum, _RECEIVE_MAXIMUM),
        maximum_packet_size=limits.payload_bytes + HEADERS_BYTES,
        assigned_client_identifier=client_id if not connect.client_id else None,
        topic_alias_maximum=_if_other(limits.topic_aliases, 0),
        server_keep_alive=_if_other(terms.keep_alive_s, connect.keep_alive_s),
        response_information=response_information if asked.request_response_information else None,
    )
    return ConnAck(ReasonCode.SUCCESS, session_present, properties)


def refusal(level: int, code: ReasonCode, properties: Properties) -> ConnAck:
    """The CONNACK that does not let a client in."""
    return ConnAck(connect_code(code)) if level != MQTT_5 else ConnAck(code, False, properties)


def _if_other(value: int, default: int) -> int | None:
    return value if value != default else None
