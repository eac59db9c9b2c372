"""This system, by either of its doors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

from iot_system.commands.rest import Rest
from iot_system.errors import Unavailable

from bench.senders.orders import Order
from bench.servers import System
from bench.workload import DEVICES, METRICS, Workload, device, room

TITLES: Mapping[str, str] = {"rest": "ours: REST bulk", "mqtt": "ours: MQTT QoS 1"}


class OurSide:
    """Implements `bench.sides.side.Side`."""

    def __init__(self, system: System, protocol: Literal["mqtt", "rest"], tokens: list[str]) -> None:
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
        if self._protocol == "mqtt":
            return Order(protocol="mqtt", port=self._system.mqtt_port, passwords=self._tokens, workload=workload)
        passwords = [self._system.admin_token]
        return Order(protocol="rest", port=self._system.http_port, passwords=passwords, workload=workload)

    async def prepare(self) -> None:
        """See `bench.sides.side.Side.prepare`."""
        self._before = await self._system.applied()

    async def committed(self) -> int:
        """See `bench.sides.side.Side.committed`: the counter moves after the commit."""
        return await self._system.applied() - self._before

    async def verify(self, workload: Workload) -> None:
        """See `bench.sides.side.Side.verify`: ask the history of every device."""
        async with Rest(self._system.url, self._system.admin_token) as rest:
            for number in range(DEVICES):
                window: dict[str, str | int | float] = {"from": workload.start_ms, "to": workload.end_ms}
                parameters = window | {"interval": "1d", "aggregate": "count"}
                page = await rest.get(f"/v1/devices/{device(number)}/telemetry", parameters)
                rows = sum(item["count"] for item in page["items"])
                if rows != workload.steps * METRICS:
                    raise Unavailable(
                        f"{self.name}: {rows} readings of {device(number)} are stored, {workload.steps * METRICS} sent"
                    )


async def register_devices(system: System) -> list[str]:
    """Register all devices in their rooms; returns a token of each."""
    async with Rest(system.url, system.admin_token) as rest:
        await rest.register([{"id": device(number), "room": room(number)} for number in range(DEVICES)])
        issued = await asyncio.gather(*(rest.issue_token(device(number)) for number in range(DEVICES)))
    return [token for _, token in issued]
