"""Telemetry and history through the library, against the real system."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from iot_system.client import DeviceConnection, IotClient, Message, NewDevice
from iot_system.errors import InvalidInput, NotFound

from tests.contract.client.applied import applied
from tests.contract.client.cutting import cutting
from tests.contract.client.shared import Shared

START = 1_700_000_000_000


async def test_what_was_sent_is_read_back_in_order(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="t-1"))
    messages = [Message(device="t-1", ts=START + 60_000 * n, values={"t": n, "h": n / 2}) for n in range(5_000)]
    sent = await iot.telemetry.send_many(messages)
    assert (sent.accepted, sent.refused) == (5_000, [])
    await applied(iot, "t-1", 10_000)
    found = [(one.ts, one.metric, one.value) async for one in iot.history.readings("t-1")]
    assert found == [(one.ts, metric, one.values[metric]) for one in messages for metric in ("h", "t")]
    newest = iot.history.readings("t-1", metrics=["t"], start=START + 60_000, end=START + 180_000, newest_first=True)
    assert [one.value async for one in newest] == [2, 1]


async def test_readings_are_aggregated_by_the_system(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="t-2"))
    await iot.telemetry.send_many(Message(device="t-2", ts=START + n, values={"t": n}) for n in range(10))
    await applied(iot, "t-2", 10)
    buckets = iot.history.buckets("t-2", interval="1d", aggregates=["min", "max", "avg", "count"])
    (found,) = [one async for one in buckets]
    assert (found.metric, found.min, found.max, found.avg, found.count, found.sum) == ("t", 0, 9, 4.5, 10, None)
    assert await iot.history.count("t-2", start=datetime.fromtimestamp(START / 1000, UTC), end=START + 3) == 3


async def test_a_bad_message_harms_no_other(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="t-3"))
    sent = await iot.telemetry.send_many(
        [
            Message(device="t-3", ts=START, values={"t": 1}),
            Message(device="t-nobody", ts=START, values={"t": 1}),
            Message(device="t-3", ts=-1, values={"t": 1}),
        ]
    )
    assert sent.accepted == 1
    assert [(one.index, type(one.error)) for one in sent.refused] == [(1, NotFound), (2, InvalidInput)]
    with pytest.raises(InvalidInput, match="values is empty"):
        await iot.telemetry.send("t-3", {})


async def test_what_a_broken_connection_cut_is_sent_again_and_stored_once(iot: IotClient, system: Shared) -> None:
    await iot.devices.create(NewDevice(id="t-5"))
    token = (await iot.devices.issue_token("t-5")).token
    async with cutting(*system.mqtt, after_bytes=200) as proxy:
        async with DeviceConnection(*proxy.address, "t-5", token) as device, asyncio.TaskGroup() as sending:
            for n in range(300):
                sending.create_task(device.send({"timed": n}, ts=START + n))
                sending.create_task(device.send({"untimed": n}))
        assert proxy.cuts > 3
    await applied(iot, "t-5", 600)
    for metric in ("timed", "untimed"):
        values = [one.value async for one in iot.history.readings("t-5", metrics=[metric])]
        assert sorted(values) == list(range(300))


async def test_a_device_sends_by_mqtt_and_a_repetition_is_stored_once(iot: IotClient, system: Shared) -> None:
    await iot.devices.create(NewDevice(id="t-4"))
    token = (await iot.devices.issue_token("t-4")).token
    async with DeviceConnection(*system.mqtt, "t-4", token) as device:
        async with asyncio.TaskGroup() as sending:
            for n in [*range(500), *range(500)]:
                sending.create_task(device.send({"t": n}, ts=START + n))
        with pytest.raises(InvalidInput, match="values is empty"):
            await device.send({})
        await device.send({"last": True})
    await applied(iot, "t-4", 501)
    assert [one.value async for one in iot.history.readings("t-4", metrics=["t"])] == list(range(500))
