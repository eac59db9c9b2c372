"""The device actor: holds the state of one device. Subclass it to give a device a behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from iot_system.actors.actor import Actor
from iot_system.actors.effects import Effect
from iot_system.actors.stored import Stored
from iot_system.domain.addresses import Address
from iot_system.domain.commands import RESEND_AFTER_S, Command
from iot_system.domain.events import Event, EventKind
from iot_system.domain.history import Reading
from iot_system.domain.numbering import is_taken, take
from iot_system.domain.readings import METRICS_LIMIT, Telemetry, Value
from iot_system.domain.recognising import is_recent, remembered
from iot_system.domain.registry import Device
from iot_system.domain.twin import Boot, DeviceState, takes_value

_NO_COMMANDS: Mapping[str, Command] = MappingProxyType({})
"""Shared by all that have none: most have none most of the time."""
_SMALL = frozenset({float, int, bool})
RESEND_AFTER_US = round(RESEND_AFTER_S * 1e6)


class DeviceActor(Actor):
    """One device in memory. ``commands`` are those not at their end, in the order of their creation."""

    __slots__ = ("_newest_us", "commands", "device")
    state: DeviceState

    def __init__(self, device: Device, state: DeviceState) -> None:
        self.device = device
        self.state = state
        self.commands: Mapping[str, Command] = _NO_COMMANDS
        self.now_us = 0
        self._newest_us = state.newest_us

    def on_reading(self, reading: Reading) -> Iterable[Effect] | None:
        """React to one new reading; called in the order of acknowledgement, never twice for the same reading."""

    def on_reported(self, patch: dict[str, Any]) -> Iterable[Effect] | None:
        """React to a change of the reported state by the device."""

    def on_command(self, command: Command) -> Iterable[Effect] | None:
        """React to a command of somebody else before the device gets it.

        A behaviour that answers it by `iot_system.actors.effects.Complete` keeps it from the device.
        """

    def on_command_result(self, command: Command) -> Iterable[Effect] | None:
        """React to a command's end: answered by the device, expired or cancelled."""

    def on_connected(self) -> Iterable[Effect] | None:
        """React to a new connection of the device."""

    def on_disconnected(self, reason: str) -> Iterable[Effect] | None:
        """React to the end of the connection."""

    def is_newest(self, reading: Reading) -> bool:
        """Whether no newer reading of the same metric is known; readings may come late."""
        newest_us = self.state.time_of(reading.metric)
        return newest_us is None or reading.time_us >= newest_us

    @property
    def address(self) -> Address:
        return Address("device", self.device.id)

    def event(self, kind: EventKind, data: dict[str, Any]) -> Event:
        return Event(kind=kind, time_us=self.now_us, device=self.device.id, room=self.device.room, data=data)

    @property
    def gets_commands(self) -> bool:
        """Whether the device is connected and listens to its commands."""
        connection = self.state.connection
        return connection is not None and connection.wants_commands

    def restore(self, commands: Sequence[Command]) -> None:
        """Take over commands that are not at their end, in the order of their creation."""
        self.commands = {command.id: command for command in commands} or _NO_COMMANDS

    @property
    def misses_desired(self) -> bool:
        """Whether the device listens to its desired state and has not acknowledged the newest."""
        state = self.state
        connection = state.connection
        return state.desired_delivered < state.desired_version and connection is not None and connection.wants_desired

    def due_us(self) -> int | None:
        """When something happens by time: a timer, the end of a command's life, what is sent again. None: never."""
        times = [*self.state.timers.values(), *(command.expires_us for command in self.commands.values())]
        if self.commands and self.gets_commands:
            times += [one.updated_us + RESEND_AFTER_US for one in self.commands.values() if one.status == "sent"]
        if self.misses_desired:
            times.append(self.state.desired_sent_us + RESEND_AFTER_US)
        return min(times, default=None)

    def is_resent(self, message: Telemetry) -> bool:
        """Whether the device's own numbering, or the message's id, says that this was received before."""
        state = self.state
        if message.id is not None and is_recent(state.recent_ids, message.id):
            return True
        if message.seq is None:
            return False
        if message.boot == state.boot:
            return is_taken(message.seq, state.seq, state.missing)
        former = state.former
        return former is not None and message.boot == former.name and is_taken(message.seq, former.seq, former.missing)

    def remember_id(self, id_: str) -> None:
        """Recognise a re-send of the message ``id_`` from now on, until some others have come."""
        self.state.recent_ids = remembered(self.state.recent_ids, id_)

    def late(self, message: Telemetry) -> list[Reading]:
        """Readings of ``message`` that are not newer than all known ones, so that only the store knows them."""
        time_us = message.time_us
        if time_us > self._newest_us:
            return []
        return [
            Reading(message.device, metric, time_us, value)
            for metric, value in message.values.items()
            if self._is_late(metric, time_us)
        ]

    @property
    def newest_us(self) -> int:
        """The time of the newest reading, -1 before the first."""
        return self._newest_us

    def receive_newer(self, messages: Sequence[Telemetry]) -> bool:
        """Take messages in that go on where the last ones ended, as nearly all do; False where some do not.

        Then nothing has changed, and `receive` is for them: what may have been sent again, or is not newer than all
        before; a metric's first reading; texts and objects.
        """
        newest_us = self._newest_us
        for message in messages:
            if message.time_us <= newest_us or message.seq is not None or message.id is not None:
                return False
            newest_us = message.time_us
        state = self.state
        metrics = set[str]().union(*[message.values for message in messages])
        if not state.values.keys() >= metrics:
            return False
        if not _SMALL.issuperset(map(type, chain.from_iterable([message.values.values() for message in messages]))):
            return False
        last = messages[-1]
        if len(last.values) == len(state.values):
            state.values, state.times = last.values, last.time_us
        else:
            values, times = dict(state.values), state.time_of_each()
            for message in messages:
                values.update(message.values)
                times.update(dict.fromkeys(message.values, message.time_us))
            state.keep(values, times)
        self._newest_us = newest_us
        state.last_seen_us = max(state.last_seen_us, newest_us)
        return True

    def receive(self, message: Telemetry, stored: Stored, refused: dict[str, str]) -> Telemetry | None:
        """Take a message in and return what is new of it, mostly all; None where nothing is.

        ``stored`` holds at least those readings of this message that the history has already, or will have with the
        commit under way; the new ones join them. ``refused`` is empty, and gets a sentence for each metric that the
        device has no room for.
        """
        state, time_us = self.state, message.time_us
        if message.seq is not None:
            self._take_number(message.seq, message.boot)
        if message.id is not None:
            self.remember_id(message.id)
        if time_us > state.last_seen_us:
            state.last_seen_us = time_us
        if time_us > self._newest_us:
            self._newest_us = time_us
            newer = fresh = message.values
            if fresh.keys() == state.values.keys() and _SMALL.issuperset(map(type, fresh.values())):
                state.values, state.times = dict(fresh), time_us
                stored.join([message])
                return message
        else:
            fresh = self._not_stored(message, stored)
            newer = {metric: value for metric, value in fresh.items() if not self._is_late(metric, time_us)}
        values, times = dict(state.values), state.time_of_each()
        for metric, value in newer.items():
            if (type(value) in _SMALL and metric in values) or (why := _why_not(values, metric, value)) is None:
                values[metric], times[metric] = value, time_us
            else:
                refused[metric] = why
        state.keep(values, times)
        if refused:
            fresh = {metric: value for metric, value in fresh.items() if metric not in refused}
        if not fresh:
            return None
        new = message if len(fresh) == len(message.values) else Telemetry(message.device, time_us, fresh)
        stored.join([new])
        return new

    def _take_number(self, seq: int, boot: str | None) -> None:
        state, former = self.state, self.state.former
        if boot == state.boot:
            state.seq, state.missing = take(seq, state.seq, state.missing)
        elif former is not None and boot == former.name:
            state.former = Boot(boot, *take(seq, former.seq, former.missing))
        else:
            if state.seq >= 0:
                state.former = Boot(state.boot, state.seq, state.missing)
            state.boot = boot
            state.seq, state.missing = take(seq, -1, b"")

    def _not_stored(self, message: Telemetry, stored: Stored) -> dict[str, Value]:
        device, time_us = message.device, message.time_us
        return {
            metric: value
            for metric, value in message.values.items()
            if not self._is_late(metric, time_us) or (device, metric, time_us) not in stored
        }

    def _is_late(self, metric: str, time_us: int) -> bool:
        newest_us = self.state.time_of(metric)
        return newest_us is not None and time_us <= newest_us


def _why_not(values: Mapping[str, Value], metric: str, value: Value) -> str | None:
    if metric not in values and len(values) >= METRICS_LIMIT:
        return f"metric {metric!r} would be one more than {METRICS_LIMIT}, the limit of a device"
    if not takes_value(values.items(), metric, value):
        return f"the newest texts and objects of the device would be too large with metric {metric!r}"
    return None
