"""MQTT packets as hypothesis makes them: everything that 3.1.1 allows."""

from __future__ import annotations

from hypothesis import strategies as st
from iot_system.adapters.mqtt import packets
from iot_system.adapters.mqtt.packets import Packet

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
topics = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=40)
filters = st.sampled_from(["#", "+", "a/+/b", "v1/devices/me/twin/desired", "/", "a/#", "+/+", "ä/ö"]) | topics
ids = st.integers(1, 0xFFFF)
payloads = st.binary(max_size=300)
wills = st.builds(packets.Will, topics, payloads, st.integers(0, 2), st.booleans())


@st.composite
def publishes(draw: st.DrawFn) -> packets.Publish:
    qos = draw(st.integers(0, 2))
    return packets.Publish(
        draw(topics),
        draw(payloads),
        qos,
        draw(ids) if qos else 0,
        draw(st.booleans()) if qos else False,
        draw(st.booleans()),
    )


@st.composite
def connects(draw: st.DrawFn) -> packets.Connect:
    username = draw(st.none() | texts)
    return packets.Connect(
        draw(texts),
        packets.PROTOCOL_LEVEL,
        draw(st.booleans()),
        draw(st.integers(0, 0xFFFF)),
        username,
        draw(st.none() | payloads) if username is not None else None,
        draw(st.none() | wills),
    )


subscribes = st.builds(
    packets.Subscribe, ids, st.lists(st.tuples(filters, st.integers(0, 2)), min_size=1, max_size=5).map(tuple)
)
unsubscribes = st.builds(packets.Unsubscribe, ids, st.lists(filters, min_size=1, max_size=5).map(tuple))
subacks = st.builds(packets.SubAck, ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=5).map(tuple))
any_packets: st.SearchStrategy[Packet] = st.one_of(
    publishes(),
    connects(),
    subscribes,
    unsubscribes,
    subacks,
    st.builds(packets.ConnAck, st.integers(0, 5), st.booleans()),
    *(
        st.builds(kind, ids)
        for kind in (packets.PubAck, packets.PubRec, packets.PubRel, packets.PubComp, packets.UnsubAck)
    ),
    *(st.just(packet) for packet in (packets.PingReq(), packets.PingResp(), packets.Disconnect())),
)
