"""A second shard takes everything over while the traffic of the tests in a cluster flows; the first one lives on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from chart_harness.waiting import until
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM
from iot_system.services.hosting import start_shard
from iot_system.settings import ShardSettings, StreamSettings

from tests.harness.applied import check_applied, settle
from tests.harness.checker import Checker
from tests.harness.commanding import Commanding
from tests.harness.owners import Owners
from tests.harness.rest import Rest
from tests.harness.sight import Sight
from tests.harness.system import ADMIN_TOKEN, PARTITIONS, running_system
from tests.harness.traffic import Traffic

WITHIN_S = 60.0


async def test_after_a_change_of_owners_nothing_is_found(tmp_path: Path) -> None:
    async with running_system(tmp_path) as system, AsyncExitStack() as opened:
        url, mqtt = system.pod.url, ("127.0.0.1", system.pod.mqtt_port)
        rest = Rest(url, ADMIN_TOKEN)
        opened.callback(rest.close)
        traffic = Traffic(url, ADMIN_TOKEN, mqtt, seed=3, name="owned")
        commanding = Commanding(url, ADMIN_TOKEN, mqtt, name="owned-commanded")
        await asyncio.to_thread(commanding.register, rest)
        owners, sight = Owners(url, ADMIN_TOKEN, traffic.devices), Sight(url, ADMIN_TOKEN, traffic.devices)
        clients = (traffic, commanding, owners, sight)
        for one in clients:
            opened.push_async_callback(asyncio.to_thread, one.stop)
            await asyncio.to_thread(one.start)
        await asyncio.to_thread(traffic.wait_until_heard, WITHIN_S)
        await until(lambda: owners.said, within_s=WITHIN_S, why="nobody heard who the owner was")
        settings = ShardSettings(
            broker=system.broker.settings(ACTOR_SYSTEM),
            stream=StreamSettings(partitions=PARTITIONS),
            database_url=f"sqlite:///{tmp_path / 'iot.db'}",
        )
        other = await start_shard(settings, "other", "node")
        opened.push_async_callback(other.stop)
        await other.claim(range(PARTITIONS))
        await asyncio.to_thread(traffic.wait_until_heard, WITHIN_S)
        await asyncio.to_thread(traffic.stop)
        newest = traffic.ledger.newest()
        await until(lambda: sight.has_seen(newest), within_s=WITHIN_S, why="acknowledged, but not to be seen")
        for one in clients:
            await asyncio.to_thread(one.stop)
        checker = Checker(traffic.ledger, acknowledged_within_s=WITHIN_S, visible_within_s=WITHIN_S)
        await asyncio.to_thread(settle, rest, traffic.rooms)
        await asyncio.to_thread(check_applied, checker, rest, traffic.rooms)
        found = await asyncio.to_thread(lambda: list(commanding.found(rest)))
    for device in traffic.devices:
        checker.sightings(device, sight.seen[device])
    for (partition, _), said in owners.said.items():
        checker.owners(partition, said)
    checker.commands(commanding.given, found)
    assert checker.findings.clean, checker.findings
    assert {one.epoch for said in owners.said.values() for one in said} == {1, 2}
