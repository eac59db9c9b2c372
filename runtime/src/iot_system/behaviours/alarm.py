"""An alarm for one metric of a device: threshold with hysteresis, a delay before it is raised, acknowledgement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import Alert, CancelTimer, Complete, Effect, Remember, Report, SetTimer, Severity
from iot_system.behaviours.settings import read_settings
from iot_system.domain.commands import Command
from iot_system.domain.history import Reading
from iot_system.domain.readings import Value, milliseconds

Phase: TypeAlias = Literal["normal", "pending", "active", "acknowledged"]
RAISE = "raise the alarm"
"""The timer of the delay."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the device's desired state says under ``alarm``.

    Raised once ``metric`` was ``above`` for ``delay_s`` seconds, cleared when it is down by ``hysteresis`` again.
    """

    metric: str = "temperature"
    above: float = 40.0
    hysteresis: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    delay_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    severity: Severity = "warning"


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """``since_us`` is when the phase began, ``alert`` the name that is told as active."""

    phase: Phase = "normal"
    since_us: int = 0
    value: float | None = None
    alert: str | None = None


class Alarm(DeviceActor):
    """normal → pending (above, within the delay) → active → acknowledged (command ``acknowledge``) → normal.

    The reported state shows the phase under ``alarm``; applications get the event ``alert``. Time is that of the
    readings; the timer is for a device that says nothing more.
    """

    __slots__ = ()

    def on_reading(self, reading: Reading) -> Iterator[Effect]:
        value = _number(reading.value)
        if value is not None and reading.metric == self._settings.metric and self.is_newest(reading):
            yield from self._judge(value, reading.time_us)

    def on_timer(self, name: str) -> Iterator[Effect]:
        if name == RAISE and self._memory.phase == "pending":
            yield from self._raise(self._latest(self._settings.metric), self.now_us)

    def on_command(self, command: Command) -> Iterator[Effect]:
        if command.name != "acknowledge":
            return
        now = self._memory
        if now.phase == "active":
            yield Complete(command.id)
            yield from self._enter("acknowledged", self.now_us, now.value, now.alert)
        else:
            yield Complete(command.id, "failed", {"why": f"the alarm is {now.phase}: there is nothing to acknowledge"})

    def on_desired(self, patch: dict[str, Any]) -> Iterator[Effect]:
        if "alarm" not in patch:
            return
        settings, error = read_settings(self.desired, "alarm", Settings)
        yield Report({"alarm": {"settings_error": error}})
        value = self._latest(settings.metric)
        if value is None:
            yield from self._clear(None, self.now_us)
        else:
            yield from self._judge(value, self.now_us)

    def _latest(self, metric: str) -> float | None:
        """The newest value of a metric, if it is a number."""
        return _number(self.state.values.get(metric))

    def _judge(self, value: float, time_us: int) -> Iterator[Effect]:
        settings, now = self._settings, self._memory
        delay_us = round(settings.delay_s * 1e6)
        if value > settings.above:
            if now.phase == "normal" and delay_us:
                yield SetTimer(RAISE, settings.delay_s)
                yield from self._enter("pending", time_us, value, None)
            elif now.phase == "normal" or (now.phase == "pending" and time_us - now.since_us >= delay_us):
                yield from self._raise(value, time_us)
        elif now.phase == "pending" or value <= settings.above - settings.hysteresis:
            yield from self._clear(value, time_us)

    def _raise(self, value: float | None, time_us: int) -> Iterator[Effect]:
        settings = self._settings
        name = f"{settings.metric} is high"
        yield CancelTimer(RAISE)
        yield Alert(name, settings.severity, payload={"value": value, "above": settings.above})
        yield from self._enter("active", time_us, value, name)

    def _clear(self, value: float | None, time_us: int) -> Iterator[Effect]:
        now = self._memory
        if now.phase == "normal":
            return
        yield CancelTimer(RAISE)
        if now.alert is not None:
            yield Alert(now.alert, self._settings.severity, active=False, payload={"value": value})
        yield from self._enter("normal", time_us, value, None)

    def _enter(self, phase: Phase, time_us: int, value: float | None, alert: str | None) -> Iterator[Effect]:
        entered = Memory(phase=phase, since_us=time_us, value=value, alert=alert)
        yield Remember(msgspec.to_builtins(entered))
        yield Report({"alarm": {"phase": phase, "since": milliseconds(time_us), "value": value}})

    @property
    def _memory(self) -> Memory:
        return msgspec.convert(self.memory, Memory)

    @property
    def _settings(self) -> Settings:
        return read_settings(self.desired, "alarm", Settings)[0]


def _number(value: Value | None) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
