"""What behaviours make of the demo's readings: a room that steers its heater, and an alarm for bad air."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

import msgspec

from iot_system.client import IotClient, NewDevice
from iot_system.commands.occupancy import ROOM
from iot_system.errors import Unavailable

HEATER, AIR = "office-heater", "office-air"
THERMOSTAT = {"heater": HEATER, "comfort": 21.0, "set_back": 16.0, "after_min": 15, "hysteresis": 0.5}
ALARM = {"metric": "co2", "above": 1000.0, "hysteresis": 100.0, "delay_s": 300.0}
"""Parts per million, and seconds."""
BEGINNING = "0-0"
TIMEOUT_S = 60.0
POLL_S = 0.05


class SetPoint(msgspec.Struct, frozen=True):
    """What the thermostat asked of the heater: °C, and whether to heat."""

    set_point: float
    heating: bool


class Phase(msgspec.Struct, frozen=True):
    """The alarm entered ``phase`` at ``since`` (milliseconds since 1970, by the readings) with this value."""

    phase: str
    since: float
    value: float | None


class Outcome(msgspec.Struct, frozen=True):
    """Both in their order."""

    set_points: list[SetPoint]
    alarm: list[Phase]


async def set_up(iot: IotClient) -> None:
    """Register room and devices with their behaviours, and set these by desired states."""
    await iot.rooms.put(ROOM, {"behaviour": "iot_system.behaviours.thermostat:Thermostat"})
    await iot.devices.register(
        [
            NewDevice(id=HEATER, room=ROOM),
            NewDevice(id=AIR, room=ROOM, behaviour="iot_system.behaviours.alarm:Alarm"),
        ]
    )
    await iot.rooms.desire(ROOM, {"thermostat": THERMOSTAT})
    await iot.twins.desire(AIR, {"alarm": ALARM})


async def read_outcome(iot: IotClient) -> Outcome:
    """What they did until now, told by the events. Raises `Unavailable` at a deadline.

    Everything that is applied must have come out: what the room tells the heater keeps its order, so a word that the
    room gets last comes last.
    """
    last = secrets.token_hex(4)
    await iot.rooms.desire(ROOM, {"read": last})
    deadline_s = time.monotonic() + TIMEOUT_S
    while (heater := await iot.twins.get(HEATER)).desired.get("read") != last:
        if time.monotonic() > deadline_s:
            raise Unavailable(f"{HEATER} did not hear of its room's desired state for {TIMEOUT_S:g} s")
        await asyncio.sleep(POLL_S)
    await iot.rooms.desire(ROOM, {"read": None})
    ends = {(HEATER, "desired"): heater.version.desired, (AIR, "reported"): (await iot.twins.get(AIR)).version.reported}
    patches = await _patches(iot, {place: version for place, version in ends.items() if version})
    return Outcome(
        [msgspec.convert(one, SetPoint) for one in patches[HEATER, "desired"] if "set_point" in one],
        [msgspec.convert(one["alarm"], Phase) for one in patches[AIR, "reported"] if "phase" in one.get("alarm", {})],
    )


async def _patches(iot: IotClient, ends: dict[tuple[str, str], int]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """By device and part of its twin: all patches up to the version that is its end."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {(HEATER, "desired"): [], (AIR, "reported"): []}
    missing = set(ends)
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            iot.events.listen(devices=[HEATER, AIR], kinds=["twin"], after=BEGINNING) as events,
        ):
            while missing:
                event = await anext(events)
                for part in ("desired", "reported"):
                    place = (event.device or "", part)
                    if place in ends and part in event.data:
                        found[place].append(event.data[part])
                        if event.data["version"] >= ends[place]:
                            missing.discard(place)
    except TimeoutError:
        raise Unavailable(f"the events did not tell all changes of {HEATER} and {AIR} within {TIMEOUT_S:g} s") from None
    return found
