"""Twins and commands by REST, against the real system."""

from __future__ import annotations

import asyncio

import pytest
from iot_system.client import IotClient, NewDevice
from iot_system.errors import Conflict, NotFound, PreconditionFailed

from tests.contract.client.shared import Shared

DEADLINE_S = 30.0


async def test_desired_state_of_another_version_stays_as_it_is(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="s-3"))
    made = await iot.twins.desire("s-3", {"a": 1})
    with pytest.raises(PreconditionFailed):
        await iot.twins.desire("s-3", {"a": 2}, if_version=made.version + 1)
    assert (await iot.twins.get("s-3")).desired == {"a": 1}


async def test_the_same_id_is_the_same_command(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="s-6"))
    first = await iot.commands.send("s-6", "turn", 1, id_="once")
    assert (await iot.commands.send("s-6", "turn", 1, id_="once")).created == first.created
    with pytest.raises(Conflict):
        await iot.commands.send("s-6", "turn", 2, id_="once")
    cancelled = await iot.commands.cancel("s-6", "once")
    assert cancelled.status == (await iot.commands.cancel("s-6", "once")).status == "cancelled"
    with pytest.raises(NotFound):
        await iot.commands.get("s-6", "never")


async def test_a_device_without_mqtt_takes_and_answers_commands(iot: IotClient, system: Shared) -> None:
    await iot.devices.create(NewDevice(id="s-7"))
    token = (await iot.devices.issue_token("s-7")).token
    async with IotClient(system.url, token) as itself:
        taking = asyncio.create_task(itself.commands.take("me", wait_s=DEADLINE_S))
        given = await iot.commands.send("s-7", "turn")
        (taken,) = await taking
        assert (taken.id, taken.status) == (given.id, "delivered")
        await itself.commands.answer("me", taken.id, {"ok": True})
        done = await iot.commands.wait("s-7", given.id, wait_s=DEADLINE_S)
        assert (done.status, done.result) == ("succeeded", {"ok": True})
