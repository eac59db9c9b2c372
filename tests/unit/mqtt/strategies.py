"""MQTT packets as hypothesis makes them: everything that 3.1.1 and 5 allow."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st
from iot_system.adapters.mqtt import packets
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Acknowledgement, Packet
from iot_system.adapters.mqtt.properties import NO_PROPERTIES, WILL, Properties
from iot_system.adapters.mqtt.reasons import ALLOWED, SUBSCRIPTION_REFUSED, ReasonCode

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
topics = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=20)
filters = st.sampled_from(["#", "+", "a/+/b", "v1/devices/me/twin/desired", "/", "a/#", "+/+", "ä/ö"]) | topics
ids = st.integers(1, 0xFFFF)
payloads = st.binary(max_size=200)
levels = st.sampled_from([MQTT_3_1_1, MQTT_5])

_flags = st.integers(0, 1)
_two = st.integers(0, 0xFFFF)
_four = st.integers(0, 0xFFFF_FFFF)
_user = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
_identifiers = st.integers(1, 268_435_455)
_CONTENT: dict[str, st.SearchStrategy[Any]] = {
    "payload_format_indicator": _flags,
    "message_expiry_interval": _four,
    "content_type": texts,
    "response_topic": topics,
    "correlation_data": payloads,
}
_OPENING: dict[str, st.SearchStrategy[Any]] = {
    "session_expiry_interval": _four,
    "authentication_method": texts,
    "receive_maximum": ids,
    "topic_alias_maximum": _two,
    "maximum_packet_size": st.integers(1, 0xFFFF_FFFF),
}
_AVAILABLE = ("wildcard_subscription_available", "subscription_identifier_available", "shared_subscription_available")
_BY_PACKET: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "PUBLISH": {
        **_CONTENT,
        "topic_alias": ids,
        "subscription_identifier": st.lists(_identifiers, min_size=1, max_size=3).map(tuple),
    },
    WILL: {**_CONTENT, "will_delay_interval": _four},
    "CONNECT": {**_OPENING, "request_problem_information": _flags, "request_response_information": _flags},
    "CONNACK": {
        **_OPENING,
        **dict.fromkeys(("maximum_qos", "retain_available", *_AVAILABLE), _flags),
        **dict.fromkeys(
            ("assigned_client_identifier", "response_information", "server_reference", "reason_string"), texts
        ),
        "authentication_data": payloads,
        "server_keep_alive": _two,
    },
    "SUBSCRIBE": {"subscription_identifier": st.tuples(_identifiers)},
    "UNSUBSCRIBE": {},
    "DISCONNECT": {"session_expiry_interval": _four, "server_reference": texts, "reason_string": texts},
    "AUTH": {"authentication_method": texts, "authentication_data": payloads, "reason_string": texts},
    **{one: {"reason_string": texts} for one in ("PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK")},
}
"""What each packet may bear besides user properties, written out a second time to hold the codec's table against."""


@cache
def properties(owner: str, level: int = MQTT_5) -> st.SearchStrategy[Properties]:
    if level != MQTT_5:
        return st.just(NO_PROPERTIES)
    some = st.fixed_dictionaries({}, optional={**_BY_PACKET[owner], "user_property": _user})
    return st.just(NO_PROPERTIES) | some.map(lambda found: Properties(**found))


@cache
def codes(packet: str, level: int) -> st.SearchStrategy[ReasonCode]:
    return st.sampled_from(sorted(ALLOWED[packet].values())) if level == MQTT_5 else st.just(ReasonCode.SUCCESS)


@st.composite
def publishes(draw: st.DrawFn, level: int = MQTT_3_1_1) -> packets.Publish:
    qos = draw(st.integers(0, 2))
    found = draw(properties("PUBLISH", level))
    return packets.Publish(
        draw(topics if found.topic_alias is None else topics | st.just("")),
        draw(payloads),
        qos,
        draw(ids) if qos else 0,
        draw(st.booleans()) if qos else False,
        draw(st.booleans()),
        found,
    )


@st.composite
def connects(draw: st.DrawFn, level: int = MQTT_3_1_1) -> packets.Connect:
    username = draw(st.none() | texts)
    wills = st.builds(packets.Will, topics, payloads, st.integers(0, 2), st.booleans(), properties(WILL, level))
    return packets.Connect(
        draw(texts),
        level,
        draw(st.booleans()),
        draw(_two),
        username,
        draw(st.none() | payloads) if username is not None or level == MQTT_5 else None,
        draw(st.none() | wills),
        draw(properties("CONNECT", level)),
    )


@cache
def _subscribes(level: int) -> st.SearchStrategy[Packet]:
    qos = st.integers(0, 2)
    options = st.builds(packets.Options, qos)
    if level == MQTT_5:
        options = st.builds(packets.Options, qos, st.booleans(), st.booleans(), st.integers(0, 2))
    asked = st.lists(st.tuples(filters, options), min_size=1, max_size=5).map(tuple)
    return st.builds(packets.Subscribe, ids, asked, properties("SUBSCRIBE", level))


def _several(code: st.SearchStrategy[ReasonCode]) -> st.SearchStrategy[tuple[ReasonCode, ...]]:
    return st.lists(code, min_size=1, max_size=5).map(tuple)


@cache
def _acknowledgements(kind: type[Acknowledgement], level: int) -> st.SearchStrategy[Packet]:
    name = kind.__name__.upper()
    return st.builds(kind, ids, codes(name, level), properties(name, level))


@cache
def packets_of(level: int) -> st.SearchStrategy[Packet]:
    """Any packet of this protocol level, from either side, but CONNECT."""
    granted = codes("SUBACK", MQTT_5)
    if level != MQTT_5:
        granted = granted.filter(lambda code: code < 3 or code == SUBSCRIPTION_REFUSED)
    names = st.lists(filters, min_size=1, max_size=5).map(tuple)
    unsubscribed = _several(codes("UNSUBACK", level)) if level == MQTT_5 else st.just(())
    kinds: list[st.SearchStrategy[Packet]] = [
        publishes(level),
        _subscribes(level),
        st.builds(packets.SubAck, ids, _several(granted), properties("SUBACK", level)),
        st.builds(packets.Unsubscribe, ids, names, properties("UNSUBSCRIBE", level)),
        st.builds(packets.UnsubAck, ids, unsubscribed, properties("UNSUBACK", level)),
        st.builds(
            packets.ConnAck,
            codes("CONNACK", level) if level == MQTT_5 else st.integers(0, 5),
            st.booleans(),
            properties("CONNACK", level),
        ),
        *[_acknowledgements(kind, level) for kind in (packets.PubAck, packets.PubRec, packets.PubRel, packets.PubComp)],
        st.just(packets.PingReq()),
        st.just(packets.PingResp()),
        st.builds(packets.Disconnect, codes("DISCONNECT", level), properties("DISCONNECT", level)),
    ]
    if level == MQTT_5:
        kinds.append(st.builds(packets.Auth, codes("AUTH", level), properties("AUTH", level)))
    return st.one_of(kinds)


@st.composite
def streams(draw: st.DrawFn) -> tuple[int, list[Packet]]:
    """A protocol level and packets of it; a CONNECT comes first if at all."""
    level = draw(levels)
    first: list[Packet] = draw(st.lists(connects(level), max_size=1))
    return level, first + draw(st.lists(packets_of(level), min_size=1, max_size=4))
