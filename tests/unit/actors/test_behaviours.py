"""Loading behaviours by their dotted names."""

from __future__ import annotations

import pytest
from iot_system.actors.behaviours import device_actor, load_behaviour, load_room_behaviour, room_actor
from iot_system.actors.device import DeviceActor
from iot_system.actors.room import RoomActor
from iot_system.domain.registry import DEFAULT_BEHAVIOUR, DEFAULT_ROOM_BEHAVIOUR, Device, Room
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.errors import InvalidInput

from tests.unit.actors.sample_behaviours import HERE, Counting, Second, Warden


def test_the_default_is_the_plain_actor() -> None:
    assert load_behaviour(DEFAULT_BEHAVIOUR) is DeviceActor


def test_a_behaviour_is_loaded_by_module_and_class() -> None:
    assert load_behaviour(f"{HERE}:Counting") is Counting


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":",
        "no.such.module:Class",
        f"{HERE}:NoSuchClass",
        HERE,
        ".relative:Class",
        "..:Class",
        "a b:c",
        f"{HERE}:Counting.on_reading",
        "tests.unit.actors.broken_on_import:Behaviour",
        "tests.unit.actors.leaving_on_import:Behaviour",
    ],
)
def test_a_name_that_leads_nowhere_is_refused_with_the_name(name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load_behaviour(name)
    assert str(refusal.value).startswith(f"behaviour {name!r} cannot be loaded: ")


@pytest.mark.parametrize("name", [f"{HERE}:NoBehaviour", f"{HERE}:HERE", "builtins:print"])
def test_what_is_no_behaviour_is_refused_with_the_name(name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load_behaviour(name)
    assert str(refusal.value) == (f"behaviour {name!r} is not a subclass of iot_system.actors.device:DeviceActor")


def test_a_room_s_behaviour_is_no_device_s_and_the_other_way_round() -> None:
    assert load_room_behaviour(DEFAULT_ROOM_BEHAVIOUR) is RoomActor
    assert load_room_behaviour(f"{HERE}:Warden") is Warden
    with pytest.raises(InvalidInput, match=r"is not a subclass of iot_system\.actors\.room:RoomActor"):
        load_room_behaviour(f"{HERE}:Counting")
    with pytest.raises(InvalidInput, match=r"is not a subclass of iot_system\.actors\.device:DeviceActor"):
        load_behaviour(f"{HERE}:Warden")


def activated(behaviour: str, state: DeviceState) -> DeviceActor:
    return device_actor(Device(id="d", behaviour=f"{HERE}:{behaviour}"), state, [])


def test_what_an_earlier_version_remembered_is_brought_into_the_form_of_this_one_once() -> None:
    state = DeviceState(extra={"count": 7})
    assert activated("Second", state).memory == {"counts": {"all": 7}}
    assert state.version == 2
    assert activated("Second", state).memory == {"counts": {"all": 7}}


def test_a_device_that_remembers_nothing_begins_with_the_version_of_its_behaviour() -> None:
    state = DeviceState()
    assert activated("Second", state).memory == {}
    assert state.version == 2


def test_a_migration_that_fails_costs_reactions_and_leaves_what_was_remembered() -> None:
    state = DeviceState(extra={"count": 7}, version=3)
    assert type(activated("Second", state)) is DeviceActor
    assert (state.extra, state.version) == ({"count": 7}, 3)


@pytest.mark.parametrize("version", ["2", 1.5, True, 2**70])
def test_a_version_that_no_store_can_hold_costs_reactions_and_stays_out_of_the_state(
    monkeypatch: pytest.MonkeyPatch, version: object
) -> None:
    monkeypatch.setattr(Second, "version", version)
    state = DeviceState()
    assert type(activated("Second", state)) is DeviceActor
    assert state.version == 1


def test_a_room_whose_behaviour_cannot_be_used_still_aggregates() -> None:
    assert type(room_actor(Room(id="r", behaviour=f"{HERE}:Counting"), RoomState())) is RoomActor
    assert type(room_actor(Room(id="r", behaviour=f"{HERE}:Warden"), RoomState())) is Warden
