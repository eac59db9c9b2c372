"""A room that heats for those who are there, and saves when nobody is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from iot_system.actors.effects import Alert, CancelTimer, Desire, Effect, Remember, SetTimer
from iot_system.actors.room import RoomActor
from iot_system.behaviours.settings import read_settings
from iot_system.domain.history import Reading

SET_BACK = "set back"
"""The timer that runs while nobody is there."""
Degrees = Annotated[float, msgspec.Meta(ge=-50, le=100)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the room's desired state says under ``thermostat``; temperatures in °C, as the readings.

    ``heater`` is the device whose desired state gets ``set_point`` and ``heating``; without one nothing is done.
    """

    heater: str | None = None
    comfort: Degrees = 21.0
    set_back: Degrees = 16.0
    after_min: Annotated[float, msgspec.Meta(gt=0, le=1440)] = 15.0
    hysteresis: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.5
    lowest: Degrees = 5.0
    highest: Degrees = 28.0
    occupancy: str = "occupancy"
    temperature: str = "temperature"


class Memory(msgspec.Struct, kw_only=True):
    """What was seen and decided. ``present`` is by sensor: when it last spoke (µs), and whether of people."""

    present: dict[str, tuple[int, bool]] = {}
    empty_since_us: int | None = None
    is_away: bool = False
    temperature: tuple[int, float] | None = None
    heating: bool = False
    asked: tuple[str, float, bool] | None = None
    """What was asked for last: heater, set-point, heating."""


class Thermostat(RoomActor):
    """Comfort while any sensor sees somebody; set back once none has for ``after_min`` minutes.

    The readings of the occupancy tell the time, so that old ones can be replayed; the timer is for sensors that say
    nothing more. Heating begins and ends half of the hysteresis below and above the set-point.
    """

    __slots__ = ()

    def on_reading(self, device: str, reading: Reading) -> Iterator[Effect]:
        settings, memory = self._settings, self._memory
        value = reading.value
        if not isinstance(value, int | float):
            return
        if reading.metric == settings.occupancy:
            yield from self._look(memory, device, reading.time_us, bool(value))
        elif reading.metric == settings.temperature and reading.time_us >= (memory.temperature or (0,))[0]:
            memory.temperature = (reading.time_us, float(value))
        else:
            return
        yield from self._decide(memory)

    def on_member(self, device: str, joined: bool) -> Iterator[Effect]:
        memory = self._memory
        if not joined and memory.present.pop(device, None) is not None:
            yield Remember({"present": {device: None}})
            yield from self._count(memory, self.now_us)
            yield from self._decide(memory)

    def on_timer(self, name: str) -> Iterator[Effect]:
        memory = self._memory
        if name == SET_BACK and memory.empty_since_us is not None:
            memory.is_away = True
            yield from self._decide(memory)

    def on_desired(self, patch: dict[str, Any]) -> Iterator[Effect]:
        if "thermostat" not in patch:
            return
        settings, error = read_settings(self.desired, "thermostat", Settings)
        yield Alert("thermostat settings", active=error is not None, payload={"error": error})
        memory = self._memory
        if memory.empty_since_us is not None and not memory.is_away:
            yield SetTimer(SET_BACK, settings.after_min * 60)
        yield from self._decide(memory)

    def _look(self, memory: Memory, device: str, time_us: int, is_present: bool) -> Iterator[Effect]:
        """A sensor has spoken; one that speaks of earlier than it did already says nothing."""
        if device in memory.present and time_us <= memory.present[device][0]:
            return
        memory.present[device] = (time_us, is_present)
        yield from self._count(memory, time_us)

    def _count(self, memory: Memory, time_us: int) -> Iterator[Effect]:
        if any(is_present for _, is_present in memory.present.values()):
            if memory.empty_since_us is not None:
                yield CancelTimer(SET_BACK)
            memory.empty_since_us, memory.is_away = None, False
        elif memory.empty_since_us is None:
            memory.empty_since_us = time_us
            yield SetTimer(SET_BACK, self._settings.after_min * 60)
        elif time_us - memory.empty_since_us >= self._settings.after_min * 60e6:
            memory.is_away = True

    def _decide(self, memory: Memory) -> Iterator[Effect]:
        settings = self._settings
        wanted = settings.set_back if memory.is_away else settings.comfort
        set_point = min(max(wanted, settings.lowest), settings.highest)
        if memory.temperature is not None:
            _, temperature = memory.temperature
            if temperature < set_point - settings.hysteresis / 2:
                memory.heating = True
            elif temperature > set_point + settings.hysteresis / 2:
                memory.heating = False
        if settings.heater is not None and memory.asked != (asked := (settings.heater, set_point, memory.heating)):
            memory.asked = asked
            yield Desire({"set_point": set_point, "heating": memory.heating}, device=settings.heater)
        yield Remember(msgspec.to_builtins(memory))

    @property
    def _memory(self) -> Memory:
        return msgspec.convert(self.memory, Memory)

    @property
    def _settings(self) -> Settings:
        return read_settings(self.desired, "thermostat", Settings)[0]
