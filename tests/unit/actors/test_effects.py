"""What handlers ask for is done whole or not at all, and harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from iot_system.actors.actor import Actor
from iot_system.actors.changes import FAILURES_LIMIT, Changes
from iot_system.actors.checking import EFFECTS_LIMIT
from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import (
    Alert,
    CancelTimer,
    Complete,
    Desire,
    Effect,
    Remember,
    Report,
    SendCommand,
    SetTimer,
    Tell,
)
from iot_system.actors.reactions import react
from iot_system.actors.room import RoomActor
from iot_system.actors.stored import Stored
from iot_system.domain.addresses import Address
from iot_system.domain.commands import OPEN_LIMIT, PAYLOAD_LIMIT
from iot_system.domain.frames import DesiredChange, NewCommand, Told
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device, Room
from iot_system.domain.signals import Reported
from iot_system.domain.twin import FAN_OUT_LIMIT, STATE_LIMIT, TIMERS_LIMIT, DeviceState, RoomState

from tests.unit.actors.sample_behaviours import HERE
from tests.unit.actors.world import S, World

LARGE = "x" * STATE_LIMIT
HALL = Address("room", "hall")


def device() -> DeviceActor:
    actor = DeviceActor(Device(id="d", room="r"), DeviceState())
    actor.now_us = 5 * S
    return actor


def room(*members: str) -> RoomActor:
    actor = RoomActor(Room(id="r"), RoomState(members=dict.fromkeys(members, 0)))
    actor.now_us = 5 * S
    return actor


def after(actor: Actor, *effects: Any) -> Changes:
    def on_something() -> list[Effect]:
        return list(effects)

    changes = Changes()
    react(actor, on_something, changes=changes)
    return changes


def test_a_device_s_own_state_changes_at_once() -> None:
    actor = device()
    changes = after(actor, Report({"a": 1}), Desire({"b": 2}), Remember({"c": 3}), SetTimer("t", 1.5))
    state = actor.state
    assert (state.reported, state.desired, state.extra, state.timers) == (
        {"a": 1},
        {"b": 2},
        {"c": 3},
        {"t": 6_500_000},
    )
    assert [event.data for event in changes.events] == [
        {"reported": {"a": 1}, "version": 1},
        {"desired": {"b": 2}, "version": 1, "by": "devices/d"},
    ]
    assert (changes.devices, changes.messages) == ({"d": state}, [])


def test_what_is_for_others_leaves_as_messages_in_its_order() -> None:
    changes = after(device(), Tell(HALL, "hi", [1]), Desire({"x": 1}, device="e"), SendCommand("open", device="e"))
    [told, desired, command] = changes.messages
    assert told == Told(HALL, Address("device", "d"), "hi", [1], 5 * S)
    assert desired == DesiredChange("e", {"x": 1}, "devices/d")
    assert isinstance(command, NewCommand)
    assert (command.command.device, command.command.created_by, command.command.expires_us) == (
        "e",
        "devices/d",
        65 * S,
    )


def test_a_device_gives_itself_a_command_that_its_behaviour_need_not_see() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Obedient"))
    world.connect("d")
    tell(world, SendCommand={"name": "reboot", "device": "d", "timeout_s": 5})
    [command] = world.commands.values()
    assert (command.name, command.status, command.created_by) == ("reboot", "sent", "devices/d")


def test_two_commands_of_a_behaviour_have_two_ids_also_after_it_left_memory() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Obedient"), Device(id="e"))
    for number in range(4):
        tell(world, SendCommand={"name": "open", "device": "d" if number % 2 else "e"})
        world.restart()
    assert len({id_ for _, id_ in world.commands}) == 4


def test_a_room_s_wishes_and_commands_go_to_all_its_devices_or_to_one() -> None:
    changes = after(room("a", "b"), Desire({"x": 1}), SendCommand("open"), Desire({"y": 1}, device="b"))
    *fanned_out, one, two, last = changes.messages
    assert fanned_out == [DesiredChange("a", {"x": 1}, "rooms/r"), DesiredChange("b", {"x": 1}, "rooms/r")]
    assert last == DesiredChange("b", {"y": 1}, "rooms/r")
    assert isinstance(one, NewCommand)
    assert isinstance(two, NewCommand)
    assert (one.command.device, two.command.device) == ("a", "b")
    assert one.command.id == two.command.id
    assert one.command.room == "r"


def test_an_alert_is_an_event_of_its_device_and_room() -> None:
    [event] = after(device(), Alert("hot", "critical", payload={"t": 99})).events
    assert (event.kind, event.device, event.room) == ("alert", "d", "r")
    assert event.data == {"name": "hot", "severity": "critical", "active": True, "payload": {"t": 99}}


def test_a_timer_that_is_cancelled_is_not_there_and_one_that_never_was_is_no_mistake() -> None:
    actor = device()
    after(actor, SetTimer("a", 1), SetTimer("b", 2), CancelTimer("a"), CancelTimer("never"))
    assert actor.state.timers == {"b": 7 * S}


def test_what_a_handler_changes_later_in_what_it_returned_reaches_nobody() -> None:
    actor, patch = device(), {"list": [1]}
    changes = after(actor, Report(patch), Tell(HALL, "hi", patch))
    patch["list"].append(2)
    assert actor.state.reported == {"list": [1]}
    assert isinstance(changes.messages[0], Told)
    assert changes.messages[0].payload == {"list": [1]}


BAD: list[tuple[Any, str]] = [
    ("no effect", "TypeError: 'no effect' is not an effect"),
    (Report({"a": object()}), "InvalidInput: what Report bears has a object"),
    (Report({"a": {1: 2}}), "the key 1; keys are text"),
    (Report([1]), "is not a dict"),  # type: ignore[arg-type]
    (Remember({"a": float("nan")}), "numbers must be finite"),
    (Remember({"a": LARGE}), "TooLarge: what Remember bears has"),
    (Desire({"a": "\0"}), "NUL"),
    (Desire({}, device="a b"), "device 'a b' is not an id"),
    (SendCommand("a b"), "name 'a b' is not an id"),
    (SendCommand("a", device="/"), "device '/' is not an id"),
    (SendCommand("a", timeout_s=0), "timeout_s is 0; it is above 0"),
    (SendCommand("a", timeout_s=float("nan")), "timeout_s is nan"),
    (SendCommand("a", "x" * PAYLOAD_LIMIT), "TooLarge: what SendCommand bears has"),
    (Complete("c", "delivered"), "status is 'delivered'"),  # type: ignore[arg-type]
    (Complete(["c"]), r"\['c'\] is not the id of a command"),  # type: ignore[arg-type]
    (Tell("room hall", "hi"), "'room hall' is not an Address"),  # type: ignore[arg-type]
    (Tell(Address("site", "x"), "hi"), "is not an Address"),  # type: ignore[arg-type]
    (Tell(Address("room", ""), "hi"), "to '' is not an id"),
    (Tell(HALL, ""), "name '' must have 1 to 128"),
    (SetTimer("t", -1), "after_s is -1; it is from 0"),
    (SetTimer("t", float("inf")), "after_s is inf"),
    (SetTimer("t", 10**9), "it is from 0 to 3.16"),
    (SetTimer("x" * 129, 1), "must have 1 to 128"),
    (Alert("a", "fatal"), "severity is 'fatal'; it is one of info, warning, critical"),  # type: ignore[arg-type]
    (Alert("a", payload={1}), "what Alert bears has a set"),
]


@pytest.mark.parametrize(("bad", "why"), BAD, ids=[repr(bad)[:40] for bad, _ in BAD])
def test_of_effects_with_a_bad_one_among_them_nothing_is_done(bad: Any, why: str) -> None:
    actor = device()
    changes = after(actor, Report({"a": 1}), Remember({"a": 1}), Tell(HALL, "hi"), bad, SetTimer("t", 1))
    assert actor.state == DeviceState(errors=1)
    assert changes.messages == []
    [failure] = changes.failures
    assert (failure.actor, failure.handler, failure.time_us) == (Address("device", "d"), "on_something", 5 * S)
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(failure.error)
    assert [event.data for event in changes.events] == [{"error": failure.error, "handler": "on_something"}]


class Word(str):
    """What only behaves like a text; libraries for figures and templates have such."""

    __slots__ = ()


class Member(str, Enum):  # noqa: UP042 - the older form, whose str() is another text
    CHECK = "check"


@pytest.mark.parametrize("kind", [Word, lambda _: Member.CHECK])
def test_texts_and_numbers_of_other_classes_are_stored_as_what_they_say(kind: Callable[[str], str]) -> None:
    name, seconds = kind("check"), Decimal("1.5")
    world = World(Device(id="d"), partitions=1)
    actor, changes = world.owner("d").devices["d"], Changes()

    def on_something() -> list[Effect]:
        return [
            SetTimer(name, seconds),  # type: ignore[arg-type]
            Report({name: name}),
            Desire({name: name}, device=name),
            Alert(name),
            SendCommand(name, name, timeout_s=seconds),  # type: ignore[arg-type]
            SendCommand(name, device=name),
            Tell(Address("room", name), name),
        ]

    react(actor, on_something, changes=changes)
    world.commit(world.owner("d"), changes)
    assert world.failures == []
    assert world.device("d").timers == {"check": 1_500_000}
    assert world.device("d").reported == {"check": "check"}
    assert world.of_kind("alert")[0]["name"] == "check"
    assert [command.name for command in world.commands.values()] == ["check"]


@pytest.mark.parametrize("effect", [Report({"a": 1}), Complete("c")])
def test_a_room_cannot_do_what_is_for_devices(effect: Effect) -> None:
    assert "is for devices, not for rooms" in after(room(), effect).failures[0].error


@pytest.mark.parametrize("kind", [Report, Remember, Desire])
def test_state_that_would_grow_beyond_its_limit_by_several_effects_stays_as_it_was(kind: type[Report]) -> None:
    actor = device()
    half = LARGE[: STATE_LIMIT // 2]
    assert not after(actor, kind({"a": half})).failures
    [failure] = after(actor, kind({"b": half[:-100]}), kind({"c": half[:100]})).failures
    assert f"the limit is {STATE_LIMIT}" in failure.error
    assert not after(actor, kind({"a": None}), kind({"b": half})).failures


def test_limits_of_effects_timers_commands_and_fan_out_hold() -> None:
    actor = device()
    assert "more than 1000 effects" in after(actor, *[Remember({})] * (EFFECTS_LIMIT + 1)).failures[0].error
    timers = [SetTimer(f"t{number}", 1) for number in range(TIMERS_LIMIT)]
    assert not after(actor, *timers).failures
    assert "would have 65 timers; the limit is 64" in after(actor, SetTimer("one more", 1)).failures[0].error
    assert not after(actor, CancelTimer("t0"), SetTimer("one more", 1), *timers[1:]).failures
    assert not after(actor, *[SendCommand("a")] * OPEN_LIMIT).failures
    assert "Overloaded: device 'd' has 100 commands" in after(actor, SendCommand("a")).failures[0].error
    crowd = room(*(f"d{number}" for number in range(FAN_OUT_LIMIT // 50_000)))
    assert not after(crowd, Desire({"a": "x" * 40_000})).failures
    assert "devices has" in after(crowd, Desire({"a": "x" * 60_000})).failures[0].error
    assert "devices has" in after(crowd, SendCommand("a", "x" * 60_000)).failures[0].error


def test_effects_without_end_are_cut_off() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Endless"))
    assert len(world.send("d", {"t": 1}).readings) == 1
    assert "more than 1000 effects" in world.failures[0].error


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError(1), GeneratorExit(1)])
def test_a_behaviour_that_wants_to_end_the_process_or_a_task_harms_only_itself(error: BaseException) -> None:
    def on_something() -> None:
        raise error

    actor, changes = device(), Changes()
    react(actor, on_something, changes=changes)
    assert changes.failures[0].error.startswith(f"{type(error).__name__}: 1")


def test_a_failure_tells_the_message_and_the_line_of_the_behaviour() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Raising"))
    world.send("d", {"bad": "y" * 10_000})
    [failure] = world.failures
    assert failure.error.startswith("RuntimeError: a mistake of the user (sample_behaviours.py, line ")
    assert failure.message.startswith("Reading(device='d', metric='bad', time_us=0, value='yyy")
    assert len(failure.message.encode()) == 4096
    assert world.device("d").errors == 1


def test_of_many_failures_at_once_all_are_counted_and_some_are_kept() -> None:
    world = World(Device(id="d", behaviour=f"{HERE}:Raising"))
    changes = Changes()
    messages = [Telemetry("d", time_us, {"bad": 1}) for time_us in range(100)]
    world.owner("d").receive_telemetry(messages, changes, stored=Stored(), now_us=100)
    assert world.device("d").errors == 100
    assert len(changes.failures) == len(changes.events) == FAILURES_LIMIT


def tell(world: World, **effects: dict[str, Any]) -> None:
    """Let an `Obedient` behaviour return effects."""
    world.signal(Reported("d", effects, world.now_us))
    world.signal(Reported("d", dict.fromkeys(effects), world.now_us))
