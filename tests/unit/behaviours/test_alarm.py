"""The alarm: threshold, hysteresis, delay, acknowledgement; on the shipped data against the CSV itself."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.domain.registry import Device

from tests.harness.occupancy import entries
from tests.unit.actors.world import S, World

ALARM = "iot_system.behaviours.alarm:Alarm"
SETTINGS = {"metric": "temperature", "above": 40, "hysteresis": 2, "delay_s": 30, "severity": "critical"}


def world_with(settings: dict[str, Any], now_us: int = 1000 * S) -> World:
    world = World(Device(id="oven", behaviour=ALARM), partitions=1, now_us=now_us)
    desire(world, settings)
    return world


def desire(world: World, settings: dict[str, Any] | None) -> None:
    world.change("oven", "patch_desired", "oven", {"alarm": settings}, if_version=None, by="anna")


def phase(world: World) -> str:
    return str(world.device("oven").reported.get("alarm", {}).get("phase", "normal"))


def alerts(world: World) -> list[bool]:
    return [data["active"] for data in world.of_kind("alert")]


@pytest.fixture
def world() -> World:
    return world_with(SETTINGS)


def heat(world: World, *temperatures: float, every_s: float = 10) -> list[str]:
    phases = []
    for temperature in temperatures:
        world.wait(every_s)
        world.send("oven", {"temperature": temperature})
        phases.append(phase(world))
    return phases


def test_an_alarm_is_raised_after_its_delay_and_cleared_below_its_hysteresis(world: World) -> None:
    assert heat(world, 39, 41, 42, 43) == ["normal", "pending", "pending", "pending"]
    assert heat(world, 43, 39, 38.5, 38, 39) == ["active", "active", "active", "normal", "normal"]
    assert world.of_kind("alert") == [
        {"name": "temperature is high", "severity": "critical", "active": True, "payload": {"value": 43, "above": 40}},
        {"name": "temperature is high", "severity": "critical", "active": False, "payload": {"value": 38}},
    ]


def test_a_device_that_says_nothing_more_is_alarming_too(world: World) -> None:
    heat(world, 41)
    world.restart()
    world.wait(29.9)
    assert phase(world) == "pending"
    world.wait(0.1)
    assert phase(world) == "active"


def test_what_was_too_hot_for_less_than_the_delay_is_no_alarm(world: World) -> None:
    assert heat(world, 41, 41, 40, 41, 41) == ["pending", "pending", "normal", "pending", "pending"]
    world.send("oven", {"temperature": 20.0}, time_us=world.now_us + 1)
    world.wait(100)
    assert alerts(world) == []


def test_a_delay_is_measured_in_the_time_of_the_readings(world: World) -> None:
    for second in (0, 10, 20, 30):
        world.send("oven", {"temperature": 50}, time_us=second * S + 1)
    assert phase(world) == "active"


def test_readings_that_come_late_or_are_no_numbers_say_nothing(world: World) -> None:
    heat(world, 20)
    world.send("oven", {"temperature": 99}, time_us=5)
    world.send("oven", {"temperature": "hot"}, time_us=world.now_us + 1)
    world.send("oven", {"temperature": True, "other": 99}, time_us=world.now_us + 2)
    assert phase(world) == "normal"
    assert world.failures == []


def test_an_alarm_is_acknowledged_by_command_and_then_cleared(world: World) -> None:
    world.connect("oven")
    assert world.put("oven", "a0", "acknowledge").status == "failed"
    heat(world, 41, 41, 41, 41)
    assert world.put("oven", "a1", "acknowledge").status == "succeeded"
    assert phase(world) == "acknowledged"
    refused = world.put("oven", "a2", "acknowledge")
    assert refused.result == {"why": "the alarm is acknowledged: there is nothing to acknowledge"}
    assert heat(world, 45, 30) == ["acknowledged", "normal"]
    assert alerts(world) == [True, False]


def test_other_commands_go_to_the_device(world: World) -> None:
    world.connect("oven")
    assert world.put("oven", "c", "reboot").status == "sent"


def test_without_a_delay_an_alarm_is_raised_at_once() -> None:
    assert heat(world_with(SETTINGS | {"delay_s": 0}), 41, 37) == ["active", "normal"]


def test_a_changed_threshold_is_held_against_the_latest_reading(world: World) -> None:
    heat(world, 30)
    desire(world, {"above": 25, "delay_s": 0})
    assert phase(world) == "active"
    desire(world, {"metric": "pressure"})
    assert (phase(world), alerts(world)) == ("normal", [True, False])


def test_settings_that_make_no_sense_are_told_and_the_defaults_hold(world: World) -> None:
    desire(world, {"above": "very hot"})
    assert "above" in world.device("oven").reported["alarm"]["settings_error"]
    assert heat(world, 41) == ["pending"]
    desire(world, None)
    assert "settings_error" not in world.device("oven").reported["alarm"]
    assert world.failures == []


ABOVE, HYSTERESIS, DELAY_S, ACKNOWLEDGED_AFTER_S = 800.0, 20.0, 120, 600


def expected_alerts(series: list[tuple[int, float]]) -> list[tuple[int, bool]]:
    """(second, active) of every alert, from the numbers alone: all stretches above, cut where they end."""
    found: list[tuple[int, bool]] = []
    above_since: int | None = None
    is_active = False
    for second, value in series:
        if above_since is not None and not is_active and above_since + DELAY_S <= second:
            found.append((above_since + DELAY_S, True))
            is_active = True
        if is_active and value <= ABOVE - HYSTERESIS:
            found.append((second, False))
            is_active, above_since = False, None
        elif not is_active:
            above_since = (above_since if above_since is not None else second) if value > ABOVE else None
    return found


def test_the_alarm_on_the_shipped_carbon_dioxide_is_the_one_that_the_csv_says() -> None:
    series = [(entry.ts // 1000, float(entry.value)) for entry in entries() if entry.metric == "co2"]
    settings = {"metric": "co2", "above": ABOVE, "hysteresis": HYSTERESIS, "delay_s": DELAY_S}
    world = world_with(settings, now_us=series[0][0] * S)
    acknowledged = 0
    for number, (second, value) in enumerate(series):
        world.wait_until(second * S)
        world.send("oven", {"co2": value})
        if phase(world) == "active" and world.device("oven").extra["since_us"] <= (second - ACKNOWLEDGED_AFTER_S) * S:
            acknowledged += 1
            assert world.put("oven", f"a{acknowledged}", "acknowledge").status == "succeeded"
        if number % 1000 == 0:
            world.restart()
    told = [(event.time_us // S, event.data["active"]) for event in world.events if event.kind == "alert"]
    assert told == expected_alerts(series)
    assert len(told) >= 8
    raised, cleared = [at for at, active in told if active], [at for at, active in told if not active]
    rows = [second for second, _ in series]
    long_ones = [
        (start, end)
        for start, end in zip(raised, cleared, strict=False)
        if any(start + ACKNOWLEDGED_AFTER_S <= second < end for second in rows)
    ]
    assert acknowledged == len(long_ones) + (len(raised) > len(cleared))
    assert world.failures == []
