"""What the devices of these measurements say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from iot_system.domain.readings import Telemetry, Value
from iot_system.domain.registry import Device
from iot_system.domain.twin import DeviceState

from bench.workload import Workload, device, room

START_MS = 1_700_000_000_000


class Message(msgspec.Struct):
    """A payload; ``ts`` counts milliseconds since 1970."""

    ts: int
    values: dict[str, Value]


_decode = msgspec.json.Decoder(Message).decode


def registration(number: int) -> Device:
    """As users register devices."""
    return Device(id=device(number), room=room(number))


def state(number: int, metrics: int) -> DeviceState:
    """Of a device that has sent one message of so many metrics; of none: that was never heard of."""
    if not metrics:
        return DeviceState()
    message = _telemetry(number, next(Workload(1, START_MS, metrics=metrics).payloads(number)))
    return DeviceState(values=message.values, times=message.time_us, last_seen_us=message.time_us)


class Conversation:
    """Messages of some devices in turn, whose times go on from call to call."""

    def __init__(self, devices: int) -> None:
        self._devices = devices
        self._start_ms = START_MS

    def next(self, messages: int, metrics: int) -> Sequence[Telemetry]:
        """At least so many messages, as many of each device, with so many metrics in each."""
        workload = Workload(-(-messages // self._devices), self._start_ms, self._devices, metrics)
        self._start_ms = workload.end_ms
        return list(_told(workload))


def _told(workload: Workload) -> Iterator[Telemetry]:
    for at_once in zip(*(workload.payloads(number) for number in range(workload.devices)), strict=True):
        for number, payload in enumerate(at_once):
            yield _telemetry(number, payload)


def _telemetry(number: int, payload: bytes) -> Telemetry:
    message = _decode(payload)
    return Telemetry(device(number), message.ts * 1000, message.values)
