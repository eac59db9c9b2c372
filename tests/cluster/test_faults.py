"""While readings flow, each part is killed in turn: nothing acknowledged is lost or doubled, and order holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.applied import history, settle, twin
from tests.harness.faults import Faults, FaultTable
from tests.harness.installation import Installation
from tests.harness.jetstream import stream_leader
from tests.harness.ledger import Entry
from tests.harness.traffic import BY_MQTT, BY_REST, METRICS, ROOMS, Traffic, room_of

SEED = 20150204


@pytest.fixture(scope="module")
def traffic(testing: Installation) -> Iterator[Traffic]:
    """Readings flow from the first test of this file to the last."""
    testing.namespace.wait_until_ready(within_s=120)
    running = Traffic(testing.api.url(), testing.token, testing.mqtt, seed=SEED, trust=testing.trust)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def faults(testing: Installation, traffic: Traffic, fault_table: FaultTable) -> Faults:
    return Faults(testing.namespace, testing.rest, traffic, fault_table)


def test_the_api_pod_that_all_clients_use_may_die(testing: Installation, faults: Faults) -> None:
    faults.kill(testing.api.pod)


def test_an_actor_system_pod_may_die(testing: Installation, faults: Faults) -> None:
    faults.kill(testing.namespace.ready_pods("actor-system")[0])


def test_the_ray_head_may_die(faults: Faults) -> None:
    faults.kill("ray-head-0")


def test_the_nats_server_that_leads_the_stream_may_die(testing: Installation, faults: Faults) -> None:
    faults.kill(stream_leader(testing.namespace))


def test_the_database_may_die(faults: Faults) -> None:
    faults.kill("postgres-0")


@pytest.mark.parametrize("component", ["actor-system", "api"])
def test_a_rolling_restart_goes_unnoticed(faults: Faults, component: str) -> None:
    faults.roll(component)


def test_after_all_this_no_acknowledged_reading_is_lost_or_doubled(
    testing: Installation, traffic: Traffic, fault_table: FaultTable
) -> None:
    traffic.stop()
    fault_table.readings = len(traffic.ledger.acknowledged)
    rest, rooms = testing.rest, {device: room_of(device) for device in (*BY_MQTT, *BY_REST)}
    settle(rest, rooms)
    rows = list(history(rest, rooms))
    findings = traffic.ledger.compare(iter(rows))
    assert findings.clean, findings

    newest: dict[tuple[str, str], Entry] = {}
    for entry in sorted(traffic.ledger.acknowledged, key=lambda entry: entry.ts):
        newest[entry.device, entry.metric] = entry
    assert len(newest) == len(rooms) * len(METRICS)
    for (device, metric), entry in newest.items():
        assert twin(rest, f"devices/{device}")["latest"][metric] == {"ts": entry.ts, "value": entry.value}

    for room in ROOMS:
        found = twin(rest, f"rooms/{room}")["metrics"]
        for metric in METRICS:
            expected = sum(room_of(row.device) == room and row.metric == metric for row in rows)
            assert found[metric]["count"] == expected, f"{room} {metric}"
