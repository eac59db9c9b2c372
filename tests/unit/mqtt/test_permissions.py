"""Roles by topics: each cell of the table in `docs/access.md`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.adapters.mqtt.permissions import device_to_look_up, may_publish, may_subscribe
from iot_system.domain.access import Principal, Scope
from iot_system.domain.registry import Device

ROLES = {
    "device": Principal("device", "one"),
    "gateway": Principal("device", "gate"),
    "viewer": Principal("viewer", "api.1"),
    "operator": Principal("operator", "api.2"),
    "admin": Principal("admin", "admin"),
    "scoped viewer": Principal("viewer", "api.3", (Scope("room", "lab"),)),
    "scoped operator": Principal("operator", "api.4", (Scope("room", "lab"), Scope("label", "floor=2"))),
    "scoped admin": Principal("admin", "ada", (Scope("label", "floor=2"),)),
}
REGISTERED = {
    "one": Device(id="one", gateway="gate"),
    "gate": Device(id="gate"),
    "other": Device(id="other"),
}
DEVICES = {"device", "gateway"}
WHOLE = {"viewer", "operator", "admin"}
PERSONS = WHOLE | {"scoped viewer", "scoped operator", "scoped admin"}
OPERATORS = {"operator", "admin", "scoped operator", "scoped admin"}
"""As far as the topic goes: that the device is in sight is decided where its messages are taken in."""

PUBLISH: dict[str, set[str]] = {
    "v1/devices/me/telemetry": DEVICES,
    "v1/devices/one/telemetry": DEVICES | OPERATORS,
    "v1/devices/gate/telemetry": {"gateway"} | OPERATORS,
    "v1/devices/other/telemetry": OPERATORS,
    "v1/devices/unknown/telemetry": OPERATORS,
    "v1/devices/me/twin/reported": DEVICES,
    "v1/devices/one/twin/reported": DEVICES | OPERATORS,
    "v1/devices/other/twin/reported": OPERATORS,
    "v1/devices/me/commands/c1/result": DEVICES,
    "v1/devices/one/commands/c1/result": DEVICES | OPERATORS,
    "v1/devices/other/commands/c1/result": OPERATORS,
    "v1/devices/me/commands//result": set(),
    "v1/devices/one/twin/desired": set(),
    "v1/devices/one/commands/c1/reboot": set(),
    "v1/devices/one/telemetry/": set(),
    "v1/devices/one": set(),
    "v1/rooms/lab/twin": set(),
    "v1/anything": set(),
    "v1": set(),
    "V1/devices/one/telemetry": set(),
    "/v1/devices/one/telemetry": set(),
    "app/x": {"operator", "admin"},
    "app/": {"operator", "admin"},
    "app": set(),
    "App/x": set(),
    "app/devices/one/x": DEVICES | {"operator", "admin"},
    "app/devices/gate/x": {"gateway", "operator", "admin"},
    "app/devices/other/x": {"operator", "admin"},
    "app/devices/one": {"operator", "admin"},
    "app/devices/me/x": {"operator", "admin"},
    "app/devices/one2/x": {"operator", "admin"},
    "app/rooms/lab/x": {"operator", "admin", "scoped operator"},
    "app/rooms/hall/x": {"operator", "admin"},
    "app/rooms/lab": {"operator", "admin"},
    "home/kitchen": set(),
    "$SYS/x": set(),
    "": set(),
}
SUBSCRIBE: dict[str, set[str]] = {
    "v1/devices/me/twin/desired": DEVICES | PERSONS,
    "v1/devices/me/commands/+/+": DEVICES | PERSONS,
    "v1/devices/me/#": DEVICES | PERSONS,
    "v1/devices/one/twin/desired": DEVICES | PERSONS,
    "v1/devices/one/commands/#": DEVICES | PERSONS,
    "v1/devices/gate/#": {"gateway"} | PERSONS,
    "v1/devices/other/twin/desired": PERSONS,
    "v1/devices/+/telemetry": PERSONS,
    "v1/devices/+/twin/desired": PERSONS,
    "v1/devices/#": PERSONS,
    "v1/rooms/lab/twin": PERSONS,
    "v1/rooms/+/twin": PERSONS,
    "v1/+/one/#": PERSONS,
    "v1/#": PERSONS,
    "#": WHOLE,
    "+/#": WHOLE,
    "+/devices/one/#": WHOLE,
    "app/#": WHOLE,
    "app/x": WHOLE,
    "app/+/one/#": WHOLE,
    "app/devices/one/#": DEVICES | WHOLE,
    "app/devices/gate/#": {"gateway"} | WHOLE,
    "app/devices/other/#": WHOLE,
    "app/devices/+/x": WHOLE,
    "app/devices/me/#": WHOLE,
    "app/devices/#": WHOLE,
    "app/rooms/lab/#": WHOLE | {"scoped viewer", "scoped operator"},
    "app/rooms/+/#": WHOLE,
    "app/rooms/hall/#": WHOLE,
    "home/#": set(),
    "$SYS/#": set(),
    "": set(),
}


def registered(principal: Principal, topic: str) -> Device | None:
    return REGISTERED.get(device_to_look_up(principal, topic) or "")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("topic", PUBLISH)
def test_who_may_publish(role: str, topic: str) -> None:
    principal = ROLES[role]
    assert may_publish(principal, topic, registered(principal, topic)) is (role in PUBLISH[topic])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("filter_", SUBSCRIBE)
def test_who_may_subscribe(role: str, filter_: str) -> None:
    principal = ROLES[role]
    assert may_subscribe(principal, filter_, registered(principal, filter_)) is (role in SUBSCRIBE[filter_])


def test_only_a_device_that_names_another_one_is_looked_up() -> None:
    assert device_to_look_up(ROLES["gateway"], "v1/devices/one/telemetry") == "one"
    assert device_to_look_up(ROLES["gateway"], "app/devices/one/x") == "one"
    for topic in ("v1/devices/me/telemetry", "v1/devices/gate/telemetry", "v1/devices/+/telemetry", "app/x", "v1/#"):
        assert device_to_look_up(ROLES["gateway"], topic) is None
    assert device_to_look_up(ROLES["operator"], "v1/devices/one/telemetry") is None


def test_a_registration_of_another_device_than_the_topic_names_allows_nothing() -> None:
    assert not may_publish(ROLES["gateway"], "v1/devices/other/telemetry", REGISTERED["one"])
    assert not may_subscribe(ROLES["gateway"], "v1/devices/other/#", REGISTERED["one"])


levels = st.lists(
    st.sampled_from(["v1", "app", "devices", "rooms", "one", "two", "me", "+", "#", "telemetry", "twin", "", "$SYS"]),
    max_size=6,
)


@given(levels)
def test_a_device_never_reaches_what_is_not_its_own(parts: list[str]) -> None:
    topic = "/".join(parts)
    own = ("v1/devices/one/", "v1/devices/me/", "app/devices/one/")
    for may in (may_publish, may_subscribe):
        assert not may(ROLES["device"], topic) or topic.startswith(own)


@given(levels)
def test_whatever_scopes_leave_the_role_without_them_has_too(parts: list[str]) -> None:
    topic = "/".join(parts)
    for may in (may_publish, may_subscribe):
        assert not may(ROLES["scoped operator"], topic) or may(ROLES["operator"], topic)
        assert not may(ROLES["viewer"], topic) or may(ROLES["operator"], topic)
