"""From the previous release to this one and back, while readings flow: nobody loses, doubles or reorders anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci import previous
from tests.harness.applied import history, settle, twin
from tests.harness.cluster import Namespace
from tests.harness.helm import values_file
from tests.harness.installation import Installation, Installations
from tests.harness.ledger import Entry
from tests.harness.traffic import BY_MQTT, BY_REST, Traffic, room_of

SEED = 20261126
ROOM_OF = {device: room_of(device) for device in (*BY_MQTT, *BY_REST)}
SETS = {
    # The sample is loaded by an installation alone, and the kind of database stays what it was.
    "sample.enabled": False,
    "global.database.mode": "single",
}


@pytest.fixture(scope="module")
def installation(previous_chart: Path, installations: Installations) -> Iterator[Installation]:
    """The previous release, installed as it told its users to."""
    values = previous.tree() / "values" / "testing.yaml"
    installation = installations.new(values, name="upgrade", sets=SETS, chart=previous_chart)
    installation.install()
    yield installation
    installations.remove(installation)


@pytest.fixture(scope="module")
def traffic(installation: Installation) -> Iterator[Traffic]:
    """Readings flow from before the upgrade until after the way back."""
    running = Traffic(installation.api.url(), installation.token, installation.mqtt, seed=SEED)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def volumes(installation: Installation, traffic: Traffic) -> dict[str, str]:
    """Those of the previous release."""
    return claims(installation.namespace)


def claims(namespace: Namespace) -> dict[str, str]:
    """Claim → the volume that it is bound to."""
    found = namespace.read("persistentvolumeclaims")["items"]
    return {one["metadata"]["name"]: one["spec"]["volumeName"] for one in found}


def versions(namespace: Namespace) -> set[str]:
    """The images' tags of all pods that serve."""
    pods = [
        pod
        for component in ("api", "actor-system", "ray-head", "nats", "postgres")
        for pod in namespace.pods(component)
    ]
    return {one["image"].rpartition(":")[2] for pod in pods for one in pod["spec"]["containers"]}


def change(
    installation: Installation, traffic: Traffic, what: str, act: Callable[[], None], figures: list[str]
) -> None:
    """Do it under load; return when everything that was acknowledged meanwhile is applied."""
    traffic.ledger.watch()
    began_s = time.monotonic()
    act()
    ready_s = time.monotonic()
    traffic.check()
    settle(installation.rest, ROOM_OF)
    longest = (
        f"a device waits {traffic.ledger.gap_s(BY_MQTT):.1f} s by MQTT, {traffic.ledger.gap_s(BY_REST):.1f} s by REST"
    )
    figures.append(f"{what}: ready after {ready_s - began_s:.0f} s; {longest}")


def test_an_upgrade_replaces_every_pod_and_keeps_every_volume(
    installation: Installation,
    installations: Installations,
    traffic: Traffic,
    volumes: dict[str, str],
    figures: list[str],
) -> None:
    old = versions(installation.namespace)

    def upgrade() -> None:
        installation.upgrade_to(installations.chart, values_file("testing"))

    change(installation, traffic, f"upgrade from {previous.read().version}", upgrade, figures)
    assert installation.namespace.not_ready() == []
    assert old.isdisjoint(versions(installation.namespace))
    assert claims(installation.namespace).items() >= volumes.items()


def test_the_way_back_replaces_every_pod_and_keeps_every_volume(
    installation: Installation, traffic: Traffic, volumes: dict[str, str], figures: list[str]
) -> None:
    new = versions(installation.namespace)
    change(installation, traffic, f"rollback to {previous.read().version}", installation.roll_back, figures)
    assert installation.namespace.not_ready() == []
    assert versions(installation.namespace) == {previous.read().tag}
    assert new.isdisjoint({previous.read().tag})
    assert claims(installation.namespace).items() >= volumes.items()


def test_no_acknowledged_reading_is_lost_doubled_or_out_of_order_after_both(
    installation: Installation, traffic: Traffic, figures: list[str]
) -> None:
    traffic.stop()
    settle(installation.rest, ROOM_OF)
    findings = traffic.ledger.compare(history(installation.rest, ROOM_OF))
    assert findings.clean, findings
    figures.append(f"{len(traffic.ledger.acknowledged):,} readings acknowledged from before the upgrade until after it")
    newest: dict[tuple[str, str], Entry] = {}
    for entry in sorted(traffic.ledger.acknowledged, key=lambda entry: entry.ts):
        newest[entry.device, entry.metric] = entry
    assert {device for device, _ in newest} == ROOM_OF.keys()
    for (device, metric), entry in newest.items():
        assert twin(installation.rest, f"devices/{device}")["latest"][metric] == {"ts": entry.ts, "value": entry.value}
