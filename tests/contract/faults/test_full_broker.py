"""The disks of the broker are full: what was acknowledged is kept, the rest refused, and nobody has to help."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from chart_harness.waiting import until
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, PubAck, Publish
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.settings import StreamSettings

from tests.contract.conformance.guests import Guest, guests_of
from tests.contract.faults.sender import Sender
from tests.harness.disk import SmallDisk
from tests.harness.nats import NatsCluster, NatsServer
from tests.harness.system import PARTITIONS, running_system

pytestmark = pytest.mark.heavy
DISK_MEGABYTES = 64
MUCH_MEGABYTES = 512
STREAM = StreamSettings(partitions=PARTITIONS, replicas=3, max_bytes=256 << 20)
OTHER = "pump"
WITHIN_S = 90.0
LIVENESS = {1: "/healthz", 3: "/healthz?js-enabled-only=true"}
"""What the chart's probe asks, by number of servers: tests/render/test_probes.py."""
CHECK_S = 0.5
FAILURES = 3


class Kubelet:
    """Restarts a server whose liveness probe fails some times in a row."""

    def __init__(self, server: NatsServer, question: str) -> None:
        self.restarts = 0
        self._server = server
        self._url = f"http://127.0.0.1:{server.monitoring}"
        self._question = question

    async def is_healthy(self) -> bool:
        """What its start-up probe asks."""
        async with httpx.AsyncClient(base_url=self._url, trust_env=False) as client:
            return await _answers_well(client, "/healthz")

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        async with httpx.AsyncClient(base_url=self._url, trust_env=False) as client:
            while True:
                await asyncio.sleep(CHECK_S)
                failures = 0 if await _answers_well(client, self._question) else failures + 1
                if failures == FAILURES:
                    self.restarts += 1
                    failures = 0
                    await asyncio.to_thread(self._server.stop)
                    with contextlib.suppress(RuntimeError):  # it may not even start without space
                        await asyncio.to_thread(self._server.start)


async def _answers_well(client: httpx.AsyncClient, question: str) -> bool:
    try:
        return (await client.get(question)).is_success
    except httpx.TransportError:
        return False


@contextlib.asynccontextmanager
async def running(servers: list[NatsServer]) -> AsyncIterator[list[Kubelet]]:
    """The servers, each looked after."""
    kubelets = [Kubelet(server, LIVENESS[len(servers)]) for server in servers]
    try:
        for server in servers:
            await asyncio.to_thread(server.start)
        for kubelet in kubelets:
            await until(kubelet.is_healthy, within_s=WITHIN_S, why="the servers do not find each other")
        looking = [asyncio.create_task(kubelet.run()) for kubelet in kubelets]
        try:
            yield kubelets
        finally:
            for one in looking:
                one.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
    finally:
        for server in servers:
            server.stop()


async def assert_refused(newer: Guest, older: Guest) -> None:
    """With MQTT 5 by a reason; 3.1.1 has none: there is no acknowledgement, and the connection ends."""
    text = b'"' + b"x" * 60_000 + b'"'
    for guest in (newer, older):
        await guest.send(Publish(f"v1/devices/{OTHER}/telemetry", b'{"a": ' + text + b', "b": ' + text + b"}", 1, 1))
    answer = await newer.answer(PubAck)
    assert answer.reason_code == ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
    assert answer.properties.reason_string
    assert await older.receive_rest() == []


@pytest.mark.parametrize("servers", [1, 3])
async def test_a_broker_without_space_refuses_keeps_what_it_has_and_comes_back_by_itself(
    tmp_path: Path, disk_of: Callable[[int], SmallDisk], servers: int
) -> None:
    disks = [disk_of(DISK_MEGABYTES) for _ in range(servers)]
    stores = [disk.folder for disk in disks]
    broker = NatsCluster(tmp_path, stores) if servers > 1 else NatsServer(tmp_path, sync_always=True, store=stores[0])
    all_servers = broker.servers if isinstance(broker, NatsCluster) else [broker]
    stream = STREAM if servers > 1 else msgspec.structs.replace(STREAM, replicas=1)
    async with (
        running(all_servers) as kubelets,
        running_system(tmp_path, broker=broker, stream=stream) as system,
        guests_of(system) as guests,
    ):
        sender = Sender(system.pod)
        await sender.register(OTHER)
        newer, older = await guests.open(level=MQTT_5), await guests.open(level=MQTT_3_1_1)
        assert await sender.is_accepted()
        for disk in disks:
            disk.fill()
        refused = await sender.until_refused()
        assert refused.status_code == 503, refused.text
        assert "the broker" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        await assert_refused(newer, older)
        await until(lambda: any(one.restarts for one in kubelets), within_s=WITHIN_S, why="nobody restarts the broker")
        for disk in disks:
            disk.free()
        await until(sender.is_accepted, within_s=WITHIN_S, why="nothing is accepted again")
        await until(sender.has_applied_all, within_s=WITHIN_S, why="what was acknowledged is not applied")
        findings = await sender.findings()
        assert not findings.lost, findings
        assert not findings.doubled, findings


async def test_one_server_of_three_without_space_is_noticed_by_nobody_and_comes_back_by_itself(
    tmp_path: Path, disk_of: Callable[[int], SmallDisk]
) -> None:
    disks = [disk_of(megabytes) for megabytes in (DISK_MEGABYTES, MUCH_MEGABYTES, MUCH_MEGABYTES)]
    broker = NatsCluster(tmp_path, [disk.folder for disk in disks])
    async with (
        running(broker.servers) as kubelets,
        running_system(tmp_path, broker=broker, stream=STREAM) as system,
    ):
        sender = Sender(system.pod)
        await sender.register()
        disks[0].fill()
        while not kubelets[0].restarts:
            assert await sender.is_accepted()
        disks[0].free()
        await until(kubelets[0].is_healthy, within_s=WITHIN_S, why="the server does not come back")
        assert not any(one.restarts for one in kubelets[1:])
        await until(sender.has_applied_all, within_s=WITHIN_S)
        findings = await sender.findings()
        assert findings.clean, findings
