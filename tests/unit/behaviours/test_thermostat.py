"""The thermostat room: set-points by occupancy and temperature; on the shipped data against the CSV itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from iot_system.domain.registry import Device, Room

from tests.harness.occupancy import DEVICES, ROOM, entries
from tests.unit.actors.world import S, World

THERMOSTAT = "iot_system.behaviours.thermostat:Thermostat"
SETTINGS = {"heater": "heater", "comfort": 21.0, "set_back": 16.0, "after_min": 15, "hysteresis": 0.5}


def office(settings: dict[str, Any], now_us: int = 0, *, sensors: tuple[str, ...] = tuple(DEVICES)) -> World:
    devices = [Device(id=id_, room=ROOM) for id_ in (*sensors, "heater")]
    world = World(*devices, rooms=[Room(id=ROOM, behaviour=THERMOSTAT)], now_us=now_us)
    desire(world, settings)
    return world


def desire(world: World, settings: dict[str, Any] | None) -> None:
    world.change(ROOM, "patch_room_desired", ROOM, {"thermostat": settings}, if_version=None, by="anna")


def wanted(world: World) -> tuple[float, bool]:
    desired = world.device("heater").desired
    return desired["set_point"], desired["heating"]


@pytest.fixture
def world() -> World:
    return office(SETTINGS, 1000 * S)


def see(world: World, *, people: bool, sensor: str = "office-presence") -> None:
    world.send(sensor, {"occupancy": people})


def measure(world: World, temperature: float) -> None:
    world.now_us += S
    world.send("office-climate", {"temperature": temperature})


def test_a_room_is_comfortable_until_it_was_empty_for_a_while(world: World) -> None:
    see(world, people=True)
    assert wanted(world) == (21, False)
    world.wait(60)
    see(world, people=False)
    world.wait(15 * 60 - 1)
    assert wanted(world) == (21, False)
    world.restart()
    world.wait(1)
    assert wanted(world) == (16, False)
    see(world, people=True)
    assert wanted(world) == (21, False)


def test_people_who_come_back_in_time_keep_it_comfortable(world: World) -> None:
    for _ in range(5):
        see(world, people=False)
        world.wait(14 * 60)
        see(world, people=True)
        world.wait(60)
    assert [
        one["desired"]["set_point"] for one in world.of_kind("twin", "heater") if "set_point" in one["desired"]
    ] == [21]


def test_one_sensor_that_sees_somebody_is_enough() -> None:
    world = office(SETTINGS, 1000 * S, sensors=("door", "desk"))
    see(world, people=True, sensor="desk")
    see(world, people=False, sensor="door")
    world.wait(3600)
    assert wanted(world)[0] == 21
    world.change("desk", "change_registration", Device(id="desk", room=ROOM), Device(id="desk"))
    world.wait(3600)
    assert wanted(world)[0] == 16


def test_heating_begins_and_ends_half_the_hysteresis_around_the_set_point(world: World) -> None:
    see(world, people=True)
    heating = []
    for temperature in (21, 20.8, 20.7, 20.9, 21.2, 21.3, 21.1, 20.7):
        measure(world, temperature)
        heating.append(wanted(world)[1])
    assert heating == [False, False, True, True, True, False, False, True]


def test_set_points_stay_within_their_limits() -> None:
    world = office(SETTINGS | {"comfort": 40, "set_back": 0}, 1000 * S)
    see(world, people=True)
    assert wanted(world)[0] == 28
    world.wait(60)
    see(world, people=False)
    world.wait(3600)
    assert wanted(world)[0] == 5


def test_changed_settings_hold_at_once_and_those_without_sense_are_told(world: World) -> None:
    see(world, people=True)
    desire(world, {"comfort": 23})
    assert wanted(world)[0] == 23
    desire(world, {"comfort": "warm"})
    assert wanted(world)[0] == 23
    alert = world.of_kind("alert", ROOM)[-1]
    assert alert["active"]
    assert "comfort" in alert["payload"]["error"]
    desire(world, {"comfort": 22})
    assert wanted(world)[0] == 22
    assert not world.of_kind("alert", ROOM)[-1]["active"]
    assert world.failures == []


def test_a_shorter_patience_holds_for_those_who_left_already(world: World) -> None:
    see(world, people=True)
    see(world, people=False)
    world.now_us += 1
    see(world, people=False)
    desire(world, {"after_min": 1})
    world.wait(60)
    assert wanted(world)[0] == 16


def test_readings_of_earlier_than_known_already_say_nothing(world: World) -> None:
    see(world, people=True)
    world.send("office-presence", {"occupancy": False}, time_us=5)
    measure(world, 25)
    world.send("office-climate", {"temperature": 5.0}, time_us=6)
    world.wait(3600)
    assert wanted(world) == (21, False)


def test_without_a_heater_nothing_is_wanted() -> None:
    world = office(SETTINGS | {"heater": None})
    see(world, people=True)
    assert "set_point" not in world.device("heater").desired


Row = tuple[int, bool, float]


def rows() -> Iterator[Row]:
    """(second, occupied, temperature) of every row of the CSV."""
    for ts, group in groupby(entries(), key=lambda entry: entry.ts):
        values = {entry.metric: entry.value for entry in group}
        yield ts // 1000, bool(values["occupancy"]), float(values["temperature"])


def expected(series: list[Row], settings: dict[str, Any]) -> list[tuple[int, float, bool]]:
    """(second, set-point, heating) of every change, from the numbers alone."""
    found: list[tuple[int, float, bool]] = []
    empty_since: int | None = None
    heating = False
    temperature: float | None = None

    def now(second: int, set_point: float) -> None:
        nonlocal heating
        if temperature is not None:
            heating = temperature < set_point - settings["hysteresis"] / 2 or (
                heating and not temperature > set_point + settings["hysteresis"] / 2
            )
        if not found or found[-1][1:] != (set_point, heating):
            found.append((second, set_point, heating))

    set_point = settings["comfort"]
    patience = settings["after_min"] * 60
    for second, is_occupied, measured in series:
        if empty_since is not None and empty_since + patience <= second and set_point == settings["comfort"]:
            set_point = settings["set_back"]
            now(empty_since + patience, set_point)
        if is_occupied:
            empty_since, set_point = None, settings["comfort"]
        elif empty_since is None:
            empty_since = second
        now(second, set_point)
        temperature = measured
        now(second, set_point)
    return found


def replay(world: World, series: list[Row]) -> list[tuple[int, float, bool]]:
    for number, (second, is_occupied, temperature) in enumerate(series):
        world.wait_until(second * S)
        world.send("office-presence", {"occupancy": is_occupied})
        world.send("office-climate", {"temperature": temperature})
        if number % 1000 == 0:
            world.restart()
    return [
        (event.time_us // S, event.data["desired"]["set_point"], event.data["desired"]["heating"])
        for event in world.events
        if event.kind == "twin" and event.device == "heater" and "set_point" in event.data["desired"]
    ]


@pytest.mark.parametrize(("comfort", "set_back"), [(21.0, 16.0), (22.5, 20.0)])
def test_the_set_points_on_the_shipped_data_are_those_that_the_csv_says(comfort: float, set_back: float) -> None:
    series = list(rows())
    settings = SETTINGS | {"comfort": comfort, "set_back": set_back}
    world = office(settings, series[0][0] * S)
    told = replay(world, series)
    assert told == expected(series, settings)
    assert len(told) >= 10
    assert world.failures == []
