"""Backups in a store that speaks S3, and an installation in an empty namespace that comes from them."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from chart_harness.cluster import Kubernetes
from chart_harness.waiting import wait_until

from tests.harness.applied import history, settle, twin
from tests.harness.helm import values_file
from tests.harness.installation import Installation, Installations
from tests.harness.ledger import Entry, Ledger
from tests.harness.store import ObjectStore

DEVICES = {f"device-{number}": "room" for number in range(4)}
EACH = 250
"""Readings of a device in one batch."""
BACKUP_WITHIN_S = 240
ARCHIVED_WITHIN_S = 60.0
KINDS: dict[str, dict[str, Any]] = {
    "single": {},
    "replicated": {"global.tls.mode": "generated", "networkPolicy.enabled": True},
}
"""`global.database.mode`, and what else such an installation has."""
SMALL: dict[str, Any] = {
    "postgres.replicas": 2,
    "postgres.storage": "2Gi",
    "postgres.resources": {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "768Mi"}},
}


@pytest.fixture(scope="module")
def store(
    kubernetes: Kubernetes, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObjectStore]:
    if pytestconfig.getoption("cluster_type") == "existing" or pytestconfig.getoption("kubeconfig"):
        pytest.skip("the store's image is brought to the project's own cluster only")
    started = ObjectStore(kubernetes, tmp_path_factory.mktemp("store"))
    try:
        started.start()
        yield started
    finally:
        started.remove()


def batch(number: int) -> list[Entry]:
    """Readings of one hour, the same each time."""
    chosen = random.Random(number)
    begin_ms = 1_700_000_000_000 + number * 3_600_000
    return [
        Entry(device, "temperature", begin_ms + 1000 * step, round(chosen.uniform(-20, 40), 3))
        for device in DEVICES
        for step in range(EACH)
    ]


def send(installation: Installation, ledger: Ledger, *batches: int) -> None:
    """Return when all of it is applied."""
    for number in batches:
        installation.rest.send(ledger, batch(number))
    settle(installation.rest, DEVICES)


def wait_for_backup(installation: Installation, *what: str) -> None:
    installation.namespace.kubectl(
        *("wait", "--for=condition=complete", *what, f"--timeout={BACKUP_WITHIN_S}s"), timeout_s=BACKUP_WITHIN_S + 10
    )


def known(installation: Installation) -> list[dict[str, Any]]:
    """All devices, as they are registered."""
    found: list[dict[str, Any]] = installation.rest.request("GET", "/v1/devices?limit=100").json()["items"]
    assert {device["id"] for device in found} >= DEVICES.keys()
    return found


def archive_everything(installation: Installation) -> None:
    """What a minute does, at once."""
    last = installation.sql("select pg_walfile_name(pg_switch_wal())")
    archived = f"select last_archived_wal >= '{last}' from pg_stat_archiver"
    wait_until(lambda: installation.sql(archived) == "t", within_s=ARCHIVED_WITHIN_S, every_s=0.5)


@pytest.mark.parametrize("mode", KINDS)
def test_an_empty_namespace_gets_the_history_of_a_moment_row_for_row_and_goes_on_from_there(
    installations: Installations, store: ObjectStore, mode: str
) -> None:
    passphrase = secrets.token_hex(16)
    values = {**SMALL, **KINDS[mode], **store.values(f"/{mode}"), "global.database.mode": mode}
    first = installations.new(values_file("development"), name=mode, sets=values)
    store.admit(first.namespace, passphrase)
    first.install(sets={"postgres.backup.enabled": False})
    for device, room in DEVICES.items():
        first.rest.register(device, room=room)
    ledger = Ledger()
    send(first, ledger, 0)
    first.upgrade({})
    wait_for_backup(first, "job", "--selector=app.kubernetes.io/name=backup")
    send(first, ledger, 1)
    first.namespace.kubectl("create", "job", "now", "--from=cronjob/backup-diff")
    wait_for_backup(first, "job/now")
    send(first, ledger, 2)
    moment = datetime.now(UTC)
    then, registry = sorted(history(first.rest, DEVICES)), known(first)
    twins = {device: twin(first.rest, f"devices/{device}")["latest"] for device in DEVICES}
    assert ledger.compare(iter(then)).clean
    send(first, Ledger(), 3)
    first.rest.register("later", room="room")
    archive_everything(first)

    restored = installations.new(values_file("development"), name=f"{mode}-restored", sets=values)
    store.admit(restored.namespace, passphrase)
    target = moment.isoformat(sep=" ", timespec="microseconds")
    restored.install(sets={"postgres.restore.enabled": True, "postgres.restore.target": target})
    assert (sorted(history(restored.rest, DEVICES)), known(restored)) == (then, registry)
    assert {device: twin(restored.rest, f"devices/{device}")["latest"] for device in DEVICES} == twins
    send(restored, ledger, 4)
    assert sorted(history(restored.rest, DEVICES)) == sorted([*then, *batch(4)])
    for installation in (restored, first):
        installations.remove(installation)
