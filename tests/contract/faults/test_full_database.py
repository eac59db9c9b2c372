"""The disk of the database is full: what was acknowledged waits in the stream, and is applied once there is room."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
from chart_harness.waiting import until
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, PubAck, Publish
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.nats.stream import STREAM as STREAM_NAME
from iot_system.settings import StreamSettings
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.contract.conformance.guests import guests_of
from tests.contract.faults.sender import METRICS, Sender
from tests.harness.disk import SmallDisk
from tests.harness.postgres import PostgresServer
from tests.harness.system import PARTITIONS, System, running_system

pytestmark = pytest.mark.heavy
DISK_MEGABYTES = 256
STREAM = StreamSettings(partitions=PARTITIONS, max_bytes=8 << 20)
OTHER = "pump"
WITHIN_S = 90.0
CHECK_S = 0.2
SAYS = {"data": "has no space left", "log": "does not answer"}
"""What the shard's log has of it: a server that cannot write its log of changes stops."""


@contextlib.asynccontextmanager
async def kept_running(server: PostgresServer) -> AsyncIterator[None]:
    """Whenever it ends, it is started again, as Kubernetes does."""

    async def keep() -> None:
        while True:
            if server.has_ended:
                with contextlib.suppress(RuntimeError):  # its disk is still full
                    await asyncio.to_thread(server.start)
            await asyncio.sleep(CHECK_S)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def fill(server: PostgresServer, disk: SmallDisk) -> None:
    """Tables cannot grow, or the log of changes cannot: then the server stops as soon as it needs its next file."""
    disk.fill()
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        for _ in range(4):
            await server.execute("select pg_logical_emit_message(false, 'test', '')", "select pg_switch_wal()")


async def assert_mqtt_refuses(system: System) -> None:
    """With MQTT 5 by a reason; 3.1.1 has none: there is no acknowledgement, and the connection ends."""
    message = Publish(f"v1/devices/{OTHER}/telemetry", b'{"note": "' + b"x" * 60_000 + b'"}', 1, 1)
    async with guests_of(system) as guests:
        newer = await guests.open(level=MQTT_5)
        answer = PubAck(1)
        while answer.reason_code == ReasonCode.SUCCESS:  # smaller messages than those that were refused find room
            await newer.send(message)
            answer = await newer.answer(PubAck)
        assert answer.reason_code == ReasonCode.QUOTA_EXCEEDED
        assert "the stream is full" in (answer.properties.reason_string or "")
        older = await guests.open(level=MQTT_3_1_1)
        await older.send(message)
        assert await older.receive_rest() == []


def is_away() -> bool:
    """What monitoring is told of the shard's database."""
    return REGISTRY.get_sample_value("iot_shard_store_away", {"shard": "shard"}) == 1


def is_nearly_full() -> bool:
    """What monitoring is told of the stream of frames."""
    used = REGISTRY.get_sample_value("iot_stream_bytes", {"stream": STREAM_NAME}) or 0
    return used > 0.8 * STREAM.max_bytes


@pytest.mark.parametrize("full", ["data", "log"])
async def test_what_is_acknowledged_while_the_database_has_no_space_is_applied_once_when_it_has(
    tmp_path: Path, disk_of: Callable[[int], SmallDisk], full: str
) -> None:
    disks = {"data": disk_of(DISK_MEGABYTES), "log": disk_of(DISK_MEGABYTES)}
    server = PostgresServer(disks["data"].folder, log=disks["log"].folder)
    try:
        await asyncio.to_thread(server.start)
        database = await server.migrate()
        async with kept_running(server), running_system(tmp_path, database=database, stream=STREAM) as system:
            sender = Sender(system.pod)
            await sender.register(OTHER)
            assert await sender.is_accepted()
            await until(sender.has_applied_all, within_s=WITHIN_S)
            with capture_logs() as lines:
                await fill(server, disks[full])
                refused = await sender.until_refused()
                await until(lambda: is_away() and is_nearly_full(), within_s=WITHIN_S)
            assert sender.ledger.count_acknowledged() > 20 * METRICS, "the stream takes what the database does not"
            assert refused.status_code == 429, refused.text
            assert "the stream is full" in refused.json()["detail"]
            assert int(refused.headers["Retry-After"]) >= 1
            assert any(SAYS[full] in line.get("error", "") for line in lines), lines
            if full == "data":  # else nobody can look up who the sender is
                await assert_mqtt_refuses(system)
            disks[full].free()
            await until(sender.is_accepted, within_s=WITHIN_S, why="nothing is accepted again")
            await until(sender.has_applied_all, within_s=WITHIN_S, why="what was acknowledged is not applied")
            findings = await sender.findings()
            assert findings.clean, findings
            assert not is_away()
            await until(lambda: not is_nearly_full(), within_s=WITHIN_S)
    finally:
        server.stop()
