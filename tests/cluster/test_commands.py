"""Commands and desired states in an installation of several pods: given to one, taken from another."""

from __future__ import annotations

import asyncio

from iot_system.client import IotClient, NewDevice

from tests.harness.installation import Installation

DEADLINE_S = 60.0


async def test_a_command_given_to_one_pod_is_answered_through_another(testing: Installation) -> None:
    here, there = testing.api, testing.other_api
    assert here.pod != there.pod
    async with IotClient(here.url(), testing.token) as iot:
        await iot.devices.register([NewDevice(id="commanded")])
        token = (await iot.devices.issue_token("commanded")).token
        async with IotClient(there.url(), token) as itself:
            taking = asyncio.create_task(itself.commands.take("me", wait_s=DEADLINE_S))
            given = await iot.commands.send("commanded", "open", {"percent": 40}, timeout_s=DEADLINE_S)
            (taken,) = await taking
            assert (taken.id, taken.name, taken.payload) == (given.id, "open", {"percent": 40})
            await itself.commands.answer("me", taken.id, {"percent": 38})
            done = await iot.commands.wait("commanded", given.id, wait_s=DEADLINE_S)
            assert (done.status, done.result) == ("succeeded", {"percent": 38})


async def test_a_desired_state_set_through_one_pod_is_read_from_another(testing: Installation) -> None:
    async with (
        IotClient(testing.api.url(), testing.token) as iot,
        IotClient(testing.other_api.url(), testing.token) as other,
    ):
        await iot.devices.register([NewDevice(id="desired")])
        wanted = await iot.twins.desire("desired", {"interval_s": 30})
        twin = await other.twins.get("desired")
        assert (twin.desired, twin.version.desired) == ({"interval_s": 30}, wanted.version)
