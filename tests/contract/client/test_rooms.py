"""Rooms through the library, against the real system."""

from __future__ import annotations

import pytest
from chart_harness.waiting import until
from iot_system.client import IotClient, Message, NewDevice
from iot_system.errors import Conflict, NotFound

DEADLINE_S = 30.0


async def test_a_room_is_registered_changed_and_forgotten(iot: IotClient) -> None:
    made = await iot.rooms.put("o-1", {"labels": {"floor": "2"}, "stale_after_s": 60})
    assert (made.id, made.labels, made.stale_after_s) == ("o-1", {"floor": "2"}, 60)
    changed = await iot.rooms.patch("o-1", {"labels": {"floor": None, "wing": "b"}})
    assert changed.labels == (await iot.rooms.get("o-1")).labels == {"wing": "b"}
    assert "o-1" in [room.id async for room in iot.rooms.list()]
    await iot.rooms.delete("o-1")
    with pytest.raises(NotFound):
        await iot.rooms.twin("o-1")


async def test_a_room_with_devices_stays(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="o-d0", room="o-2"))
    with pytest.raises(Conflict):
        await iot.rooms.delete("o-2")


async def test_a_room_knows_its_members_and_their_readings(iot: IotClient) -> None:
    await iot.devices.register(NewDevice(id=f"o-d{n}", room="o-3") for n in (1, 2))
    await iot.telemetry.send_many(Message(device=f"o-d{n}", ts=1000 * n, values={"t": 20 + n}) for n in (1, 2))

    async def is_counted() -> bool:
        metrics = (await iot.rooms.twin("o-3")).metrics
        return "t" in metrics and metrics["t"].count == 2

    await until(is_counted, within_s=DEADLINE_S)
    twin = await iot.rooms.twin("o-3")
    assert sorted(twin.members) == ["o-d1", "o-d2"]
    metric = twin.metrics["t"]
    assert (metric.min, metric.max, metric.avg, metric.last.value, metric.last.device) == (21, 22, 21.5, 22, "o-d2")


async def test_what_is_wanted_of_a_room_is_wanted_of_its_devices(iot: IotClient) -> None:
    await iot.devices.register(NewDevice(id=f"o-d{n}", room="o-4") for n in (3, 4))
    wanted = await iot.rooms.desire("o-4", {"mode": "night"})
    assert wanted.desired == {"mode": "night"}
    for device in ("o-d3", "o-d4"):

        async def is_wanted(device: str = device) -> bool:
            return (await iot.twins.get(device)).desired == {"mode": "night"}

        await until(is_wanted, within_s=DEADLINE_S)


async def test_a_command_to_a_room_is_one_for_each_device(iot: IotClient) -> None:
    await iot.devices.register(NewDevice(id=f"o-d{n}", room="o-5") for n in (5, 6))
    given = await iot.rooms.command("o-5", "stop", wait_s=0.1)
    assert [(one.device, one.id, one.status) for one in given.commands] == [
        (device, given.id, "queued") for device in ("o-d5", "o-d6")
    ]
    await iot.commands.cancel("o-d5", given.id)
    found = await iot.rooms.wait("o-5", given.id)
    assert [one.status for one in found.commands] == ["cancelled", "queued"]
