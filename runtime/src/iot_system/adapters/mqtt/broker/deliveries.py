"""Messages on their way in and out: the broker's form, and the form in which a connection sends and receives them."""

from __future__ import annotations

from collections.abc import Iterable

from iot_system.adapters.mqtt.packets import Publish, Will
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, Properties
from iot_system.adapters.mqtt.session import Delivery
from iot_system.ports.broker import Message, Stored, Subscription


def message_from(packet: Publish | Will, *, publisher: str, now_us: int, id_: str = "") -> Message:
    """What is stored of a PUBLISH or a will; ``publisher`` is its session's key, ``id_`` a name for it of QoS 2."""
    properties = packet.properties
    interval_s = properties.message_expiry_interval
    return Message(
        topic=packet.topic,
        payload=packet.payload,
        qos=packet.qos,
        retain=packet.retain,
        publisher=publisher,
        expires_us=None if interval_s is None else now_us + interval_s * 1_000_000,
        payload_format=properties.payload_format_indicator,
        content_type=properties.content_type,
        response_topic=properties.response_topic,
        correlation_data=properties.correlation_data,
        user_properties=properties.user_property,
        id=id_,
    )


def for_member(stored: Stored, subscriptions: Iterable[Subscription], key: str) -> Delivery | None:
    """One message for all of a member's ``subscriptions`` that match it (MQTT 5, 3.3.4), or None."""
    qos, retain, identifiers, matched = 0, False, [], False
    message = stored.message
    for one in subscriptions:
        if stored.sequence <= one.since or (one.no_local and message.publisher == key):
            continue
        matched = True
        qos = max(qos, one.qos)
        retain = retain or (one.retain_as_published and message.retain)
        if one.identifier:
            identifiers.append(one.identifier)
    if not matched:
        return None
    return outgoing(
        stored, qos=min(qos, message.qos), retain=retain, identifiers=tuple(identifiers), id_=f"m{stored.sequence}"
    )


def outgoing(stored: Stored, *, qos: int, retain: bool, identifiers: tuple[int, ...], id_: str) -> Delivery:
    """``id_`` is ``m`` and the sequence in the log, ``r`` and that among the retained, or begins with ``s``: shared.

    Other first letters are of what does not come from the log: ``e`` and the position of events before it, and what
    `iot_system.adapters.mqtt.downlink` gives to devices.
    """
    message = stored.message
    return Delivery(
        topic=message.topic,
        payload=message.payload,
        qos=qos,
        retain=retain,
        properties=_properties(message, identifiers),
        expires_s=None if message.expires_us is None else message.expires_us / 1e6,
        id=id_,
    )


def is_expired(stored: Stored, now_us: int) -> bool:
    """See MQTT 5, 3.3.2.3.3."""
    return stored.message.expires_us is not None and stored.message.expires_us <= now_us


def _properties(message: Message, identifiers: tuple[int, ...]) -> Properties:
    has_any = (
        identifiers,
        message.user_properties,
        message.payload_format is not None,
        message.content_type is not None,
        message.response_topic is not None,
        message.correlation_data is not None,
    )
    if not any(has_any):
        return NO_PROPERTIES
    return Properties(
        payload_format_indicator=message.payload_format,
        content_type=message.content_type,
        response_topic=message.response_topic,
        correlation_data=message.correlation_data,
        subscription_identifier=identifiers,
        user_property=message.user_properties,
    )
