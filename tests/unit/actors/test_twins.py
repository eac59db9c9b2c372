"""Reported and desired state: versions, deliveries, what is refused."""

from __future__ import annotations

import pytest
from iot_system.domain.commands import RESEND_AFTER_S
from iot_system.domain.deliveries import Delivery, Desired
from iot_system.domain.questions import DesiredView
from iot_system.domain.registry import Device
from iot_system.domain.signals import Connected, DesiredDelivered, Reported
from iot_system.domain.twin import STATE_LIMIT
from iot_system.errors import InvalidInput, NotFound, PreconditionFailed, TooLarge

from tests.unit.actors.sample_behaviours import HERE
from tests.unit.actors.world import GATEWAY, World

LARGE = "x" * STATE_LIMIT


@pytest.fixture
def world() -> World:
    return World(Device(id="d", room="r", behaviour=f"{HERE}:Diary"), now_us=1000)


def desire(world: World, patch: dict[str, object], if_version: int | None = None) -> DesiredView:
    view: DesiredView = world.change("d", "patch_desired", "d", patch, if_version=if_version, by="anna")
    return view


def calls(world: World) -> list[object]:
    found: list[object] = world.device("d").extra.get("calls", [])
    return found


def test_what_a_device_reports_is_merged_numbered_and_told(world: World) -> None:
    world.signal(Reported("d", {"a": {"b": 1, "c": 2}}, 2000), Reported("d", {"a": {"b": None}}, 3000))
    state = world.device("d")
    assert (state.reported, state.reported_version, state.last_seen_us) == ({"a": {"c": 2}}, 2, 3000)
    assert world.of_kind("twin", "d") == [
        {"reported": {"a": {"b": 1, "c": 2}}, "version": 1},
        {"reported": {"a": {"b": None}}, "version": 2},
    ]
    assert {event.room for event in world.events} == {"r"}
    assert calls(world) == [["reported", {"a": {"b": 1, "c": 2}}], ["reported", {"a": {"b": None}}]]


def test_a_report_that_changes_nothing_makes_no_version_and_is_not_told(world: World) -> None:
    world.signal(Reported("d", {"a": 1}, 2000), Reported("d", {"a": 1, "gone": None}, 3000))
    assert world.device("d").reported_version == 1
    assert len(world.events) == len(calls(world)) == 1
    world.signal(Reported("d", {"a": True}, 4000))
    assert world.device("d").reported == {"a": True}


def test_a_report_that_is_sent_again_counts_once_whatever_came_between(world: World) -> None:
    world.signal(Reported("d", {"a": 1}, 1, "m1"), Reported("d", {"a": 2}, 2, "m2"), Reported("d", {"a": 1}, 1, "m1"))
    assert world.device("d").reported == {"a": 2}
    world.restart()
    world.signal(Reported("d", {"a": 1}, 1, "m1"))
    assert world.device("d").reported == {"a": 2}


@pytest.mark.parametrize("patch", [{"a": LARGE}, {"a": "b\0"}, {"a": float("nan")}])
def test_a_report_that_cannot_be_kept_is_dropped_and_told_as_an_error(world: World, patch: dict[str, object]) -> None:
    world.signal(Reported("d", {"a": 1}, 2000), Reported("d", patch, 3000), Reported("d", {"b": 1}, 4000))
    state = world.device("d")
    assert (state.reported, state.errors) == ({"a": 1, "b": 1}, 1)
    [error] = world.of_kind("error")
    assert error["error"].startswith("a change of the reported state was dropped: reported has ")
    assert error["handler"] is None


def test_reports_that_are_too_large_together_are_dropped(world: World) -> None:
    half = "x" * (STATE_LIMIT // 2)
    world.signal(Reported("d", {"a": half}, 2000), Reported("d", {"b": half}, 3000))
    assert world.device("d").reported == {"a": half}


def test_signals_of_a_device_that_is_gone_are_counted(world: World) -> None:
    assert world.signal(Reported("gone", {"a": 1}, 2000), Reported("gone", {"a": 2}, 2000)) == 2


def test_what_users_want_is_merged_numbered_told_and_shown_to_the_behaviour(world: World) -> None:
    assert desire(world, {"a": 1}) == DesiredView({"a": 1}, 1)
    assert desire(world, {"b": {"c": 2}}, if_version=1) == DesiredView({"a": 1, "b": {"c": 2}}, 2)
    assert world.of_kind("twin") == [
        {"desired": {"a": 1}, "version": 1, "by": "anna"},
        {"desired": {"b": {"c": 2}}, "version": 2, "by": "anna"},
    ]
    assert calls(world) == [["desired", {"a": 1}], ["desired", {"b": {"c": 2}}]]


def test_a_change_that_expects_another_version_changes_nothing(world: World) -> None:
    desire(world, {"a": 1})
    with pytest.raises(PreconditionFailed, match="the desired state has version 1, not 2"):
        desire(world, {"a": 2}, if_version=2)
    assert world.device("d").desired == {"a": 1}
    assert len(world.events) == 1


def test_a_wish_that_is_there_already_makes_no_version(world: World) -> None:
    desire(world, {"a": 1})
    assert desire(world, {"a": 1}, if_version=1) == DesiredView({"a": 1}, 1)
    assert len(world.events) == 1


def test_a_wish_that_cannot_be_kept_is_refused_before_anything_changes(world: World) -> None:
    desire(world, {"a": LARGE[: STATE_LIMIT // 2]})
    with pytest.raises(TooLarge, match=f"desired has .* the limit is {STATE_LIMIT}"):
        desire(world, {"b": LARGE[: STATE_LIMIT // 2]})
    with pytest.raises(InvalidInput, match="desired has a NUL"):
        desire(world, {"b": "\0"})
    assert world.device("d").desired_version == 1


def test_a_wish_for_a_device_that_is_not_registered_is_refused(world: World) -> None:
    with pytest.raises(NotFound, match="device 'x' is not registered"):
        world.change("x", "patch_desired", "x", {"a": 1}, if_version=None, by="anna")


def test_a_device_that_is_connected_gets_each_patch_with_its_version(world: World) -> None:
    desire(world, {"a": 1})
    world.connect("d")
    desire(world, {"b": 2})
    world.signal(DesiredDelivered("d", 2, 5000))
    assert world.deliveries == [
        Delivery("d", "c1", Desired(1, {"a": 1}, is_whole=True), []),
        Delivery("d", "c1", Desired(2, {"b": 2}, is_whole=False), []),
    ]
    assert world.device("d").desired_delivered == 2


def test_desired_state_that_is_not_acknowledged_is_sent_again_whole_until_it_is(world: World) -> None:
    """What is sent to a gateway may be lost: the shard dies after its commit, the broker is away for a moment."""
    world.connect("d")
    desire(world, {"a": 1})
    desire(world, {"b": 2})
    world.signal(DesiredDelivered("d", 1, 5000))
    world.deliveries.clear()
    again = Delivery("d", "c1", Desired(2, {"a": 1, "b": 2}, is_whole=True), [])
    world.wait(RESEND_AFTER_S + 1)
    assert world.deliveries == [again]
    world.restart()
    world.wait(RESEND_AFTER_S)
    assert world.deliveries == [again, again]
    world.signal(DesiredDelivered("d", 2, 5000))
    assert world.owner("d").next_due_us() is None


def test_desired_state_waits_without_being_sent_for_who_does_not_listen_to_it_any_more(world: World) -> None:
    world.connect("d")
    desire(world, {"a": 1})
    world.connect("d", desired=False)
    assert world.owner("d").next_due_us() is None


def test_a_device_that_does_not_listen_to_its_desired_state_gets_none(world: World) -> None:
    world.connect("d", desired=False)
    desire(world, {"a": 1})
    assert world.deliveries == []


def test_a_delivery_that_was_never_sent_is_not_believed(world: World) -> None:
    desire(world, {"a": 1})
    world.signal(DesiredDelivered("d", 7, 5000))
    assert world.device("d").desired_delivered == 0
    world.signal(DesiredDelivered("d", 1, 5000), DesiredDelivered("d", 0, 5000))
    assert world.device("d").desired_delivered == 1


def test_deliveries_go_to_the_gateway_of_the_newest_connection(world: World) -> None:
    world.connect("d")
    actors = world.owner("d")
    world.signal(Connected("d", "api-2", "c2", 2000, wants_desired=True, wants_commands=True))
    assert actors.connected_to("api-2") == ["d"]
    world.disconnect("d", "c1")
    assert actors.connected_to(GATEWAY) == []
    desire(world, {"a": 1})
    assert world.deliveries[-1] == Delivery("d", "c2", Desired(1, {"a": 1}, is_whole=False), [])


def test_a_behaviour_that_changes_what_it_was_given_changes_no_state() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Spoiling"))
    desire(world, {"list": [1]})
    world.put("d", "c", payload={})
    assert world.device("d").desired == {"list": [1]}
    assert world.commands["d", "c"].payload == {}
    assert world.failures == []
