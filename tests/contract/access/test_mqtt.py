"""MQTT: who is let in by which user name, and that a connection ends with what opened it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import pytest
from chart_harness.waiting import until
from paho.mqtt.reasoncodes import ReasonCode

from tests.contract.access.callers import ISSUER_KEY
from tests.harness.system import ADMIN_TOKEN, Pod, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
REVOKED_WITHIN_S = 5.0
NOT_AUTHORIZED, QUOTA_EXCEEDED, ADMINISTRATIVE_ACTION = 0x87, 0x97, 0x98


@asynccontextmanager
async def connected(pod: Pod, username: str, password: str) -> AsyncIterator[aiomqtt.Client]:
    client = aiomqtt.Client(
        "127.0.0.1", pod.mqtt_port, username=username, password=password, protocol=aiomqtt.ProtocolVersion.V5
    )
    async with client:
        yield client


async def refusal(pod: Pod, username: str, password: str) -> int:
    """The reason code that a connection is refused with; 0 where it is let in."""
    try:
        async with connected(pod, username, password):
            return 0
    except aiomqtt.MqttCodeError as error:
        return reason_of(error)


def reason_of(error: BaseException | None) -> int:
    assert isinstance(error, aiomqtt.MqttCodeError), error
    assert isinstance(error.rc, ReasonCode), error.rc
    return int(error.rc.value)


async def ended(client: aiomqtt.Client) -> int:
    """The reason code that the server ended the connection with."""
    await until(client._disconnected.done, within_s=REVOKED_WITHIN_S, why="the connection is open still")
    return reason_of(client._disconnected.exception())


@pytest.mark.usefixtures("callers")
async def test_a_program_a_person_and_a_device_are_let_in_by_their_tokens(system: System) -> None:
    _, program = await system.pod.api_token("viewer")
    device = await system.pod.token_of("one")
    assert await refusal(system.pod, "api", program) == 0
    assert await refusal(system.pod, "jwt", ISSUER_KEY.sign()) == 0
    assert await refusal(system.pod, "admin", ADMIN_TOKEN) == 0
    assert await refusal(system.pod, "one", device) == 0
    for username, password in (("one", program), ("api", device), ("gate", device), ("one", ADMIN_TOKEN)):
        assert await refusal(system.pod, username, password) == NOT_AUTHORIZED, username


@pytest.mark.usefixtures("callers")
async def test_the_connections_of_a_revoked_credential_end_on_all_pods_and_no_other_does(system: System) -> None:
    issued = (await system.pod.admin.post("/v1/devices/one/credentials")).json()
    other = await system.pod.token_of("one")
    async with connected(system.pods[1], "one", other) as stays:
        async with connected(system.pods[1], "one", issued["token"]) as client:
            await system.pod.admin.delete(f"/v1/devices/one/credentials/{issued['credential']}")
            assert await ended(client) == ADMINISTRATIVE_ACTION
        assert not stays._disconnected.done()
        await stays.publish("v1/devices/me/telemetry", b'{"t": 1}', qos=1)


async def test_the_connections_of_a_device_that_is_disabled_or_deleted_end(system: System) -> None:
    for id_ in ("off", "gone"):
        await system.pod.admin.post("/v1/devices", json={"id": id_})
    off, gone = [await system.pod.token_of(id_) for id_ in ("off", "gone")]
    async with connected(system.pods[1], "off", off) as first, connected(system.pods[1], "gone", gone) as second:
        await system.pod.admin.patch("/v1/devices/off", json={"enabled": False})
        await system.pod.admin.delete("/v1/devices/gone")
        assert await ended(first) == ADMINISTRATIVE_ACTION
        assert await ended(second) == ADMINISTRATIVE_ACTION


async def test_the_connection_of_a_revoked_api_token_ends(system: System) -> None:
    id_, token = await system.pod.api_token("operator")
    async with connected(system.pods[1], "api", token) as client:
        await system.pod.admin.delete(f"/v1/tokens/{id_}")
        assert await ended(client) == ADMINISTRATIVE_ACTION


async def test_wrong_passwords_are_slowed_down(system: System) -> None:
    await system.pod.admin.post("/v1/devices", json={"id": "attacked"})
    codes = {await refusal(system.pods[1], "attacked", f"attacked.{number}") for number in range(15)}
    assert codes == {NOT_AUTHORIZED, QUOTA_EXCEEDED}
