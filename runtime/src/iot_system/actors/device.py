"""The device actor: holds the state of one device. Subclass it to give a device a behaviour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.msgpack import encode

from iot_system.actors.effects import Effect, Remember, Report
from iot_system.domain.history import Reading
from iot_system.domain.merge import merge_patch
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.domain.twin import DeviceState, Latest

RECENT_IDS = 32
"""How many message ids a device remembers, to recognise a re-send."""


class DeviceActor:
    """One device in memory.

    A behaviour overrides `on_reading`; it never does I/O and changes nothing itself, it returns effects. An actor lives
    while its device is in use, so what must last goes through `Remember`.
    """

    __slots__ = ("device", "last_used_s", "state")

    def __init__(self, device: Device, state: DeviceState) -> None:
        self.device = device
        self.state = state
        self.last_used_s = 0.0

    def on_reading(self, reading: Reading) -> Iterable[Effect] | None:
        """React to one new reading; called in the order of acknowledgement, never twice for the same reading."""

    @property
    def memory(self) -> Mapping[str, Any]:
        """What the behaviour remembered."""
        return self.state.extra

    def is_resent(self, message: Telemetry) -> bool:
        """Whether the device's own numbering, or the message's id, says that this was received before."""
        state = self.state
        if message.id is not None and message.id in state.recent_ids:
            return True
        return message.seq is not None and message.boot == state.boot and message.seq <= state.seq

    def late(self, message: Telemetry) -> list[Reading]:
        """Readings of ``message`` that are not newer than all known ones, so that only the store knows them."""
        latest, time_us = self.state.latest, message.time_us
        return [
            Reading(message.device, metric, time_us, value)
            for metric, value in message.values.items()
            if (newest := latest.get(metric)) is not None and time_us <= newest.time_us
        ]

    def receive(self, message: Telemetry, stored: set[tuple[str, str, int]]) -> list[Reading]:
        """Take a message in and return its new readings.

        ``stored`` holds at least those ``(device, metric, time_us)`` of this message that the history has already, or
        will have with the commit under way; the new ones join them.
        """
        state, time_us, device = self.state, message.time_us, message.device
        latest = state.latest
        fresh = []
        for metric, value in message.values.items():
            newest = latest.get(metric)
            key = (device, metric, time_us)
            if newest is None or time_us > newest.time_us:
                latest[metric] = Latest(time_us, value)
            elif key in stored:
                continue
            stored.add(key)
            fresh.append(Reading(device, metric, time_us, value))
        if message.seq is not None:
            state.boot, state.seq = message.boot, message.seq
        if message.id is not None:
            state.recent_ids = (*state.recent_ids[1 - RECENT_IDS :], message.id)
        state.last_seen_us = max(state.last_seen_us, time_us)
        return fresh

    def apply(self, effects: Iterable[Effect]) -> None:
        """Carry out what a handler returned, all of it or nothing.

        Raises `TypeError` for what is no effect, or cannot be stored: else the commit of everybody else would fail.
        """
        state = self.state
        reported, version, extra = state.reported, state.reported_version, state.extra
        for effect in effects:
            match effect:
                case Report(patch):
                    reported, version = merge_patch(reported, patch), version + 1
                case Remember(patch):
                    extra = merge_patch(extra, patch)
                case _:
                    raise TypeError(f"{effect!r} is not an effect")
            encode(patch)
        state.reported, state.reported_version, state.extra = reported, version, extra
