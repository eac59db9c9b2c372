"""Acknowledged means durable, and applied soon after: waiting for the latter."""

from __future__ import annotations

from chart_harness.waiting import until
from iot_system.client import IotClient

DEADLINE_S = 60.0


async def applied(iot: IotClient, device: str, readings: int) -> None:
    """Return when the history of a device has so many readings; fails where it has more."""

    async def is_so() -> bool:
        return await iot.history.count(device) >= readings

    await until(is_so, within_s=DEADLINE_S, why=f"{device} has not {readings} readings")
    assert await iot.history.count(device) == readings
