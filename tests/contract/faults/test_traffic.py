"""Processes are killed while the traffic of the tests in a cluster flows: the checker finds nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from chart_harness.waiting import wait_until

from tests.contract.faults.test_kills import Fault, api, broker, shard
from tests.harness.applied import check_applied, settle
from tests.harness.checker import Checker
from tests.harness.commanding import Commanding
from tests.harness.owners import Owners
from tests.harness.processes import HOST, Plant, running_plant
from tests.harness.rest import Rest
from tests.harness.sight import Sight
from tests.harness.traffic import Traffic

pytestmark = pytest.mark.alone
FAULTS: tuple[Fault, ...] = (shard, broker, api)
SEED = 20150204
SEEN_WITHIN_S = 120.0
TIMEOUT_S = 480


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    with running_plant() as plant:
        yield plant


@pytest.mark.timeout(TIMEOUT_S)
def test_history_twins_rooms_and_commands_are_right_after_kills_and_no_old_owner_has_committed(plant: Plant) -> None:
    url, mqtt, token = plant.pods[0].url, (HOST, plant.mqtt_ports[0]), plant.admin_token
    rest, chance = Rest(url, token), random.Random(SEED)
    traffic = Traffic(url, token, mqtt, seed=SEED, name="killed")
    commanding = Commanding(url, token, mqtt, name="killed-commanded")
    owners, sight = Owners(url, token, traffic.devices), Sight(url, token, traffic.devices)
    commanding.register(rest)
    with ExitStack() as started:
        started.callback(rest.close)
        for one in (traffic, commanding, owners, sight):
            started.callback(one.stop)
            one.start()
        for fault in FAULTS:
            traffic.wait_until_heard()
            fault(plant, chance)
            plant.wait_until_whole()
        traffic.wait_until_heard()
        traffic.stop()
        newest = traffic.ledger.newest()
        wait_until(lambda: sight.has_seen(newest), within_s=SEEN_WITHIN_S)
        for one in (sight, commanding, owners):
            one.stop()
        checker = Checker(traffic.ledger, acknowledged_within_s=SEEN_WITHIN_S, visible_within_s=SEEN_WITHIN_S)
        settle(rest, traffic.rooms)
        check_applied(checker, rest, traffic.rooms)
        for device in traffic.devices:
            checker.sightings(device, sight.seen[device])
        for (partition, _), said in owners.said.items():
            checker.owners(partition, said)
        checker.commands(commanding.given, commanding.found(rest))
    assert checker.findings.clean, checker.findings
    assert len(commanding.given) > len(FAULTS)
    assert max(one.epoch for said in owners.said.values() for one in said) > 1
