"""Loading behaviours by their dotted names."""

from __future__ import annotations

import pytest
from iot_system.actors.behaviours import load_behaviour
from iot_system.actors.device import DeviceActor
from iot_system.domain.registry import DEFAULT_BEHAVIOUR
from iot_system.errors import InvalidInput

from tests.unit.actors.sample_behaviours import HERE, Counting


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
