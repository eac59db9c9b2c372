"""This system, by either of its doors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

from iot_system.client import IotClient, NewDevice
from iot_system.errors import Unavailable

from bench.senders.orders import Order
from bench.servers import System
from bench.workload import DEVICES, Workload, device, room

TITLES: Mapping[str, str] = {
    "rest": "ours: REST bulk",
    "mqtt": "ours: MQTT QoS 1",
    "frames": "ours, from the stream on: frames",
}

ASKED = 100
REGISTER_TIMES = 5
TOKENS_AT_ONCE = 50


class OurSide:
    """Implements `bench.sides.side.Side`."""

    def __init__(self, system: System, protocol: Literal["mqtt", "rest", "frames"], tokens: list[str]) -> None:
        self._system = system
        self._protocol = protocol
        self._tokens = tokens
        self._before = 0

    @property
    def name(self) -> str:
        """See `bench.sides.side.Side.name`."""
        return TITLES[self._protocol]

    def order(self, workload: Workload) -> Order:
        """See `bench.sides.side.Side.order`."""
        match self._protocol:
            case "mqtt":
                port, passwords = self._system.mqtt_port, self._tokens
            case "rest":
                port, passwords = self._system.http_port, [self._system.admin_token]
            case "frames":
                port, passwords = self._system.broker_port, []
        return Order(protocol=self._protocol, port=port, passwords=passwords, workload=workload)

    async def prepare(self) -> None:
        """See `bench.sides.side.Side.prepare`."""
        self._before = await self._system.applied()

    async def committed(self) -> int:
        """See `bench.sides.side.Side.committed`: the counter moves after the commit."""
        return await self._system.applied() - self._before

    async def verify(self, workload: Workload) -> None:
        """See `bench.sides.side.Side.verify`: ask the history of every device, or of about `ASKED` where more speak."""
        async with IotClient(self._system.url, self._system.admin_token) as iot:
            for number in range(0, workload.devices, max(1, workload.devices // ASKED)):
                rows = await iot.history.count(device(number), start=workload.start_ms, end=workload.end_ms)
                if rows != (sent := workload.steps * workload.metrics):
                    raise Unavailable(f"{self.name}: {rows} readings of {device(number)} are stored, {sent} sent")


async def register_devices(system: System, devices: int = DEVICES) -> None:
    """Register devices in their rooms; what a busy system refuses is asked for again."""
    async with IotClient(system.url, system.admin_token) as iot:
        missing = [NewDevice(id=device(number), room=room(number)) for number in range(devices)]
        for _ in range(REGISTER_TIMES):
            refused = (await iot.devices.register(missing)).refused
            if not (missing := [one for one in missing if one.id in refused]):
                return
        raise Unavailable(f"{len(missing)} devices could not be registered: {next(iter(refused.values()))}")


async def issue_tokens(system: System, devices: int = DEVICES) -> list[str]:
    """A token of each device."""
    tokens: list[str] = []
    async with IotClient(system.url, system.admin_token) as iot:
        for start in range(0, devices, TOKENS_AT_ONCE):
            numbers = range(start, min(start + TOKENS_AT_ONCE, devices))
            issued = await asyncio.gather(*(iot.devices.issue_token(device(number)) for number in numbers))
            tokens += [one.token for one in issued]
    return tokens
