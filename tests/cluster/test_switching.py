"""values/testing.yaml goes from one mode to another by `helm upgrade`, and back, while devices send by MQTT."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chart_harness.errors import KubernetesError

from tests.cluster.test_upgrade import claims
from tests.harness.applied import found_in, settle
from tests.harness.installation import Installation
from tests.harness.traffic import Traffic

SEED = 20261128
NONE: dict[str, Any] = {
    "sample.enabled": False,
    "global.tls.mode": "off",
    "api.hostNames": [],
    "networkPolicy.enabled": False,
    **{f"{part}.{pods}": 1 for part in ("api", "actor-system") for pods in ("replicas", "autoscaling.maxReplicas")},
    "actor-system.ray.mode": "embedded",
}
"""Nothing is encrypted or kept apart, nothing scales, and Ray has no head of its own."""
ALL: dict[str, Any] = {"sample.enabled": False, "api.mqtt.plain": True}
"""All of it as in the values file; devices may go on to send as they do."""
READY_WITHIN_S = 120.0


@pytest.fixture(scope="module")
def installation(testing: Installation) -> Installation:
    """The shared one, with what it has from then on."""
    testing.upgrade(NONE)
    testing.close()
    return testing


@pytest.fixture(scope="module")
def traffic(installation: Installation) -> Iterator[Traffic]:
    """By MQTT without TLS, which all modes here let in; REST has another address in each."""
    entry = installation.entry
    running = Traffic(entry.url, installation.token, entry.mqtt, seed=SEED, name="switch", rest=False)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def under_load(installation: Installation, traffic: Traffic, act: Callable[[], None]) -> str:
    """Return when everything that was acknowledged meanwhile is applied; says what it cost."""
    traffic.wait_until_heard()
    traffic.ledger.watch()
    began_s = time.monotonic()
    act()
    took_s = time.monotonic() - began_s
    traffic.wait_until_heard()
    installation.close()
    installation.namespace.wait_until_ready(within_s=READY_WITHIN_S)
    settle(installation.entry.rest, traffic.rooms)
    gap_s = traffic.ledger.gap_s(traffic.by_mqtt)
    return f"ready after {took_s:.0f} s, the longest wait of a device {gap_s:.1f} s by MQTT"


def test_what_an_upgrade_could_not_change_is_refused_before_anything_is_changed(installation: Installation) -> None:
    before = installation.namespace.helm("history", "iot", "--output=json")
    for sets in ({"nats.replicas": 5}, {"global.partitions": 32}, {"global.storageClass": "fast"}):
        [value] = sets
        with pytest.raises(KubernetesError, match=value):
            installation.upgrade(ALL | sets)
    assert installation.namespace.helm("history", "iot", "--output=json") == before


def test_encryption_policies_autoscalers_and_a_head_of_ray_come_by_one_upgrade(
    installation: Installation, traffic: Traffic, figures: list[str]
) -> None:
    volumes = claims(installation.namespace)
    cost = under_load(installation, traffic, lambda: installation.upgrade(ALL))
    figures.append(f"encryption, policies, autoscalers and a head of Ray switched on: {cost}")
    assert installation.trust is not None
    assert claims(installation.namespace).items() >= volumes.items()


def test_they_go_again_by_a_rollback(installation: Installation, traffic: Traffic, figures: list[str]) -> None:
    volumes = claims(installation.namespace)
    cost = under_load(installation, traffic, installation.roll_back)
    figures.append(f"rollback of that: {cost}")
    assert installation.trust is None
    assert claims(installation.namespace).items() >= volumes.items()


def test_nothing_that_was_acknowledged_meanwhile_is_lost_or_doubled(
    installation: Installation, traffic: Traffic, figures: list[str]
) -> None:
    traffic.stop()
    findings = found_in(traffic.ledger, installation.entry.rest, traffic.rooms)
    assert findings.clean, findings
    assert set(traffic.ledger.devices()) == traffic.rooms.keys()
    figures.append(f"{traffic.ledger.count_acknowledged():,} readings acknowledged meanwhile: none lost")
