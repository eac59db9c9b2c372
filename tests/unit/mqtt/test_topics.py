"""Topic names and filters: which are valid, how long they may be, what a shared subscription is."""

from __future__ import annotations

import pytest
from hypothesis import given
from iot_system.adapters.mqtt.limits import TOPIC_BYTES, TOPIC_LEVELS, MqttLimits
from iot_system.adapters.mqtt.malformed import MalformedPacket
from iot_system.adapters.mqtt.packets import Options, Subscribe, Unsubscribe
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.subscribing import refused_filters, unsubscribed
from iot_system.adapters.mqtt.topics import (
    Shared,
    check_filter,
    check_size,
    check_topic,
    is_shared_valid,
    parse_shared,
)
from iot_system.errors import InvalidInput

from tests.unit.mqtt.strategies import topics


@pytest.mark.parametrize("filter_", ["#", "/", "+", "a/#", "+/+/#", "/+", "a//b", "$share/g/a/#", "$SYS/#"])
def test_valid_filters_are_taken(filter_: str) -> None:
    assert check_filter(filter_) == filter_


@pytest.mark.parametrize("filter_", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+/c"])
def test_filters_with_misplaced_wildcards_are_refused(filter_: str) -> None:
    with pytest.raises(MalformedPacket):
        check_filter(filter_)


@given(topics)
def test_a_topic_name_is_a_valid_filter_too(topic: str) -> None:
    assert check_filter(check_topic(topic)) == topic


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a#"])
def test_topic_names_with_wildcards_are_refused(topic: str) -> None:
    with pytest.raises(MalformedPacket):
        check_topic(topic)


def test_a_topic_may_have_so_many_bytes_and_levels() -> None:
    for allowed in ("x" * TOPIC_BYTES, "ä" * (TOPIC_BYTES // 2), "/" * (TOPIC_LEVELS - 1)):
        assert check_size(allowed) == allowed
    for refused in ("x" * (TOPIC_BYTES + 1), "ä" * (TOPIC_BYTES // 2) + "x", "/" * TOPIC_LEVELS):
        with pytest.raises(InvalidInput, match=rf"the limit is {TOPIC_BYTES}|the limit is {TOPIC_LEVELS}"):
            check_size(refused)


@pytest.mark.parametrize(
    ("filter_", "shared", "is_valid"),
    [
        ("$share/g/a/#", Shared("g", "a/#"), True),
        ("$share/g//", Shared("g", "/"), True),
        ("$share/g/", Shared("g", ""), False),
        ("$share/g", Shared("g", ""), False),
        ("$share//a", Shared("", "a"), False),
        ("$share/+/a", Shared("+", "a"), False),
        ("$share/#", Shared("#", ""), False),
    ],
)
def test_a_shared_subscription_has_a_name_without_wildcards_and_a_filter(
    filter_: str, shared: Shared, is_valid: bool
) -> None:
    assert parse_shared(filter_) == shared
    assert is_shared_valid(shared) is is_valid


@pytest.mark.parametrize("filter_", ["a/$share/g", "$share", "$shared/g/a", "#"])
def test_everything_else_is_a_filter_of_one_s_own(filter_: str) -> None:
    assert parse_shared(filter_) is None


def test_filters_are_refused_whoever_asks_where_they_are_not_valid_or_too_many() -> None:
    names = ("$share/g", "x" * 2000, "old", "new", "new", "$share/g/new", "one-more")
    asked = Subscribe(1, tuple((name, Options(0)) for name in names))
    invalid, over = ReasonCode.TOPIC_FILTER_INVALID, ReasonCode.QUOTA_EXCEEDED
    before = {"old", *"abcd"}
    assert refused_filters(before, asked, MqttLimits(subscriptions=7)) == {0: invalid, 1: invalid, 6: over}


def test_a_packet_has_no_more_filters_than_a_session_though_they_are_the_same() -> None:
    asked = Subscribe(1, (("a", Options(0)),) * 5)
    refused = refused_filters((), asked, MqttLimits(subscriptions=3))
    assert refused == dict.fromkeys((3, 4), ReasonCode.QUOTA_EXCEEDED)


def test_an_unsubscription_of_what_is_not_there_says_so() -> None:
    gone, none = ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED
    assert unsubscribed({"old"}, Unsubscribe(1, ("old", "new", "old"))) == [gone, none, none]
