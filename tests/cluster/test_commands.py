"""Commands and desired states in an installation of several pods: given to one, taken from another."""

from __future__ import annotations

import asyncio

from chart_harness.waiting import until
from iot_system.client import DeviceConnection, IotClient, NewDevice

from tests.harness.installation import Installation

DEADLINE_S = 60.0


async def test_a_command_given_to_one_pod_is_answered_through_another(testing: Installation) -> None:
    here, there = testing.api, testing.other_api
    assert here.pod != there.pod
    async with IotClient(here.url(), testing.token, tls=testing.trust) as iot:
        await iot.devices.register([NewDevice(id="commanded")])
        token = (await iot.devices.issue_token("commanded")).token
        async with IotClient(there.url(), token, tls=testing.trust) as itself:
            taking = asyncio.create_task(itself.commands.take("me", wait_s=DEADLINE_S))
            given = await iot.commands.send("commanded", "open", {"percent": 40}, timeout_s=DEADLINE_S)
            (taken,) = await taking
            assert (taken.id, taken.name, taken.payload) == (given.id, "open", {"percent": 40})
            await itself.commands.answer("me", taken.id, {"percent": 38})
            done = await iot.commands.wait("commanded", given.id, wait_s=DEADLINE_S)
            assert (done.status, done.result) == ("succeeded", {"percent": 38})


async def test_a_device_with_mqtt_at_another_pod_gets_commands_and_desired_state_and_is_heard(
    testing: Installation,
) -> None:
    async with IotClient(testing.api.url(), testing.token, tls=testing.trust) as iot:
        await iot.devices.register([NewDevice(id="connected")])
        token = (await iot.devices.issue_token("connected")).token
        wanted = await iot.twins.desire("connected", {"interval_s": 30})
        async with (
            asyncio.timeout(DEADLINE_S),
            DeviceConnection(*testing.other_mqtt, "connected", token, tls=testing.trust) as connection,
        ):
            heard = await anext(connection.desired())
            assert (heard.version, heard.state) == (wanted.version, {"interval_s": 30})
            given = await iot.commands.send("connected", "open", {"percent": 40})
            command = await anext(connection.commands())
            assert (command.id, command.name, command.payload) == (given.id, "open", {"percent": 40})
            await connection.answer(command.id, {"percent": 38})
            done = await iot.commands.wait("connected", given.id, wait_s=DEADLINE_S)
            assert (done.status, done.result) == ("succeeded", {"percent": 38})
            await connection.report({"firmware": "1.2"})

            async def is_heard() -> bool:
                return (await iot.twins.get("connected")).reported == {"firmware": "1.2"}

            await until(is_heard, within_s=DEADLINE_S)


async def test_a_desired_state_set_through_one_pod_is_read_from_another(testing: Installation) -> None:
    async with (
        IotClient(testing.api.url(), testing.token, tls=testing.trust) as iot,
        IotClient(testing.other_api.url(), testing.token, tls=testing.trust) as other,
    ):
        await iot.devices.register([NewDevice(id="desired")])
        wanted = await iot.twins.desire("desired", {"interval_s": 30})
        twin = await other.twins.get("desired")
        assert (twin.desired, twin.version.desired) == ({"interval_s": 30}, wanted.version)
