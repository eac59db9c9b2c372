"""Encryption is switched on in an installation that runs without: nothing is lost, and a mistake changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.harness.applied import history, settle
from tests.harness.cluster import KubernetesError
from tests.harness.helm import values_file
from tests.harness.installation import Installation, Installations
from tests.harness.traffic import Traffic

SEED = 20261128
LARGE_ENOUGH = {
    "sample.enabled": False,
    "global.database.mode": "single",
    "api.replicas": 2,
    "actor-system.replicas": 1,
}
"""With several NATS servers."""
OFF, ON = {"global.tls.mode": "off"}, {"global.tls.mode": "generated", "api.mqtt.plain": True}
"""Devices may go on to send as they do."""


@pytest.fixture(scope="module")
def plain(installations: Installations) -> Iterator[Installation]:
    """Nothing of it is encrypted yet."""
    installation = installations.new(values_file("testing"), name="plain", sets=LARGE_ENOUGH | OFF)
    installation.install()
    yield installation
    installations.remove(installation)


def test_encryption_comes_with_the_next_upgrade_once_the_nats_servers_are_stopped(
    plain: Installation, figures: list[str]
) -> None:
    with pytest.raises(KubernetesError, match=r"run without TLS.* scale statefulset nats --replicas=0"):
        plain.upgrade(ON)
    traffic = Traffic(plain.api.url(), plain.token, plain.mqtt, seed=SEED, name="switch", rest=False)
    traffic.start()
    try:
        traffic.wait_until_heard()
        traffic.ledger.watch()
        began_s = time.monotonic()
        plain.namespace.kubectl("scale", "statefulset", "nats", "--replicas=0")
        plain.upgrade(ON)
        took_s = time.monotonic() - began_s
        traffic.wait_until_heard()
    finally:
        traffic.stop()
    gap_s = traffic.ledger.gap_s(traffic.by_mqtt)
    figures.append(f"encryption switched on: ready after {took_s:.0f} s, the longest wait of a device {gap_s:.1f} s")
    plain.close()
    assert plain.trust is not None
    settle(plain.rest, traffic.rooms)
    findings = traffic.ledger.compare(history(plain.rest, traffic.rooms))
    assert findings.clean, findings
