"""From the previous release to this one and back, while readings flow: nobody loses, doubles or reorders anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chart_harness.cluster import Namespace

from ci import previous
from tests.harness.applied import found_in, settle
from tests.harness.entry import open_to
from tests.harness.helm import values_file
from tests.harness.installation import Installation, Installations
from tests.harness.traffic import Traffic

SEED = 20261126
OLD_PODS_LEAVE_S = 90.0
COMPONENTS = ("api", "actor-system", "ray-head", "nats", "postgres")
OLD = {"sample.enabled": False, "api.service.type": "NodePort"}
"""The sample is loaded by an installation alone. Clients come in by the Service, which is there all the time."""
NEW = OLD | {"global.database.mode": "single", "global.tls.mode": "off"}
"""As UPGRADING.md says: the kind of database stays what it was, and certificates come with an upgrade of their own."""


@pytest.fixture(scope="module")
def installation(previous_chart: Path, installations: Installations) -> Iterator[Installation]:
    """The previous release, installed with its own values."""
    values = previous.tree() / "values" / "testing.yaml"
    installation = installations.new(values, name="upgrade", sets=OLD, chart=previous_chart)
    installation.install()
    yield installation
    installations.remove(installation)


@pytest.fixture(scope="module")
def traffic(installation: Installation) -> Iterator[Traffic]:
    """Readings flow from before the upgrade until after the way back.

    To and from 0.1.0 without numbers: it acknowledges numbered ones that it then leaves out, as UPGRADING.md says.
    """
    entry, numbered = installation.entry, previous.read().version != "0.1.0"
    running = Traffic(entry.url, installation.token, entry.mqtt, seed=SEED, name="upgrade", numbered=numbered)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def claims(namespace: Namespace) -> dict[str, str]:
    """Claim → its identity, which another claim of that name would not have."""
    found = namespace.read("persistentvolumeclaims")["items"]
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in found}


def versions(namespace: Namespace) -> set[str]:
    """The images' tags of all pods that serve."""
    pods = [pod for component in COMPONENTS for pod in namespace.pods(component)]
    return {one["image"].rpartition(":")[2] for pod in pods for one in pod["spec"]["containers"]}


def under_load(installation: Installation, traffic: Traffic, act: Callable[[], None]) -> str:
    """Return when everything that was acknowledged meanwhile is applied; says what it cost."""
    traffic.ledger.watch()
    began_s = time.monotonic()
    act()
    took_s = time.monotonic() - began_s
    traffic.check()
    settle(installation.entry.rest, traffic.rooms)
    mqtt_s, rest_s = traffic.ledger.gap_s(traffic.by_mqtt), traffic.ledger.gap_s(traffic.by_rest)
    return f"ready after {took_s:.0f} s, the longest wait of a device {mqtt_s:.1f} s by MQTT, {rest_s:.1f} s by REST"


def test_an_upgrade_replaces_every_pod_and_keeps_every_volume(
    installation: Installation, installations: Installations, traffic: Traffic, figures: list[str]
) -> None:
    volumes, old = claims(installation.namespace), versions(installation.namespace)
    new = NEW | {**open_to(installation.namespace.cluster), "api.hostNames": []}
    cost = under_load(
        installation, traffic, lambda: installation.upgrade_to(installations.chart, values_file("testing"), new)
    )
    figures.append(f"upgrade from {previous.read().version}: {cost}")
    installation.namespace.wait_until_ready(within_s=OLD_PODS_LEAVE_S)
    assert versions(installation.namespace).isdisjoint(old)
    assert claims(installation.namespace).items() >= volumes.items()


def test_the_way_back_replaces_every_pod_and_keeps_every_volume(
    installation: Installation, traffic: Traffic, figures: list[str]
) -> None:
    volumes, new = claims(installation.namespace), versions(installation.namespace)
    cost = under_load(installation, traffic, installation.roll_back)
    figures.append(f"rollback to {previous.read().version}: {cost}")
    installation.namespace.wait_until_ready(within_s=OLD_PODS_LEAVE_S)
    assert versions(installation.namespace) == {previous.read().tag}
    assert previous.read().tag not in new
    assert claims(installation.namespace).items() >= volumes.items()


def test_no_acknowledged_reading_is_lost_doubled_or_out_of_order_after_both(
    installation: Installation, traffic: Traffic, figures: list[str]
) -> None:
    traffic.stop()
    findings = found_in(traffic.ledger, installation.entry.rest, traffic.rooms)
    assert findings.clean, findings
    assert set(traffic.ledger.devices()) == traffic.rooms.keys()
    figures.append(
        f"{traffic.ledger.count_acknowledged():,} readings acknowledged, from before the upgrade to after the rollback"
    )
