"""Backups of the database, and a database that comes from one."""

from __future__ import annotations

import configparser
import json
from typing import Any

import pytest
import yaml
from chart_harness.manifests import Container

from tests.render.rendered import BY_VOLUME, PRODUCTION, RESTORED, STORE, TESTING, Installation

TARGET = "2026-11-26 10:00:00+00"
SECRET_KEYS = {
    "PGBACKREST_REPO1_S3_KEY": "access-key",
    "PGBACKREST_REPO1_S3_KEY_SECRET": "secret-key",
    "PGBACKREST_REPO1_CIPHER_PASS": "passphrase",
}


def settings(installation: Installation, file: str) -> configparser.ConfigParser:
    """A file of the server's configuration; what stands outside of sections is in `main`."""
    text = installation.one("ConfigMap", "postgres-config")["data"][file]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text if text.lstrip("# \n").startswith("[") or "\n[" in text else f"[main]\n{text}")
    return parser


def server(installation: Installation) -> Container:
    return next(one for one in installation.workload("postgres").containers if one.spec["name"] == "postgres")


def mounts(container: Container) -> dict[str, dict[str, Any]]:
    return {mount["name"]: mount for mount in container.spec["volumeMounts"]}


@pytest.mark.parametrize("values", [TESTING, PRODUCTION], ids=lambda path: path.stem)
def test_all_that_is_written_goes_to_the_repository_within_a_minute(values: Any) -> None:
    archived = settings(Installation("backed-up", (values,), STORE), "postgresql.conf")["main"]
    assert archived["archive_mode"] == "on"
    assert archived["archive_command"] == "'timeout 60 pgbackrest archive-push %p'"
    assert archived["archive_timeout"] == "'1min'"


def test_a_repository_that_is_away_costs_a_quarter_of_the_volume_at_most() -> None:
    installation = Installation("backed-up", (TESTING,), {**BY_VOLUME, "postgres.storage": "40Gi"})
    pushing = settings(installation, "pgbackrest.conf")["global:archive-push"]
    assert int(pushing["archive-push-queue-max"]) == 10 << 30


@pytest.mark.parametrize("sets", [{}, RESTORED], ids=["off", "restored"])
def test_without_backups_nothing_is_archived_and_nobody_asks_for_one(sets: dict[str, Any]) -> None:
    installation = Installation("without", (TESTING,), sets)
    assert "archive_mode" not in settings(installation, "postgresql.conf")["main"]
    assert [one for one in installation.of_kind("CronJob") if "backup" in one["metadata"]["name"]] == []
    assert not any(job["metadata"]["name"].startswith("backup") for job in installation.of_kind("Job"))


def test_what_goes_to_a_store_is_encrypted_by_a_secret_that_stands_in_no_config_map() -> None:
    installation = Installation("backed-up", (PRODUCTION,), STORE)
    assert settings(installation, "pgbackrest.conf")["global"]["repo1-cipher-type"] == "aes-256-cbc"
    env = server(installation).env
    found = {name: env[name]["valueFrom"]["secretKeyRef"] for name in SECRET_KEYS}
    assert found == {name: {"name": "backup-store", "key": key} for name, key in SECRET_KEYS.items()}


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [("s3.example.org", "s3.example.org", "443"), ("store.backup.svc:7070", "store.backup.svc", "7070")],
)
def test_the_store_is_found_at_its_address(endpoint: str, host: str, port: str) -> None:
    sets = {**STORE, "postgres.backup.repository.s3.endpoint": endpoint}
    found = settings(Installation("backed-up", (TESTING,), sets), "pgbackrest.conf")["global"]
    assert (found["repo1-s3-endpoint"], found["repo1-storage-port"]) == (host, port)


def test_a_ca_of_ones_own_is_what_the_store_is_known_by() -> None:
    installation = Installation("backed-up", (TESTING,), STORE)
    file = settings(installation, "pgbackrest.conf")["global"]["repo1-storage-ca-file"]
    assert file.rpartition("/")[0] == mounts(server(installation))["repository-ca"]["mountPath"]
    public = Installation("public", (TESTING,), {**STORE, "postgres.backup.repository.s3.caSecret": ""})
    assert "repo1-storage-ca-file" not in settings(public, "pgbackrest.conf")["global"]


def test_backups_on_a_volume_stay_when_the_release_is_uninstalled() -> None:
    installation = Installation("backed-up", (TESTING,), BY_VOLUME)
    claim = installation.one("PersistentVolumeClaim", "backup-repository")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    volume = installation.workload("postgres").volumes["repository"]
    assert volume["persistentVolumeClaim"]["claimName"] == "backup-repository"


def test_a_claim_of_ones_own_takes_the_place_of_the_one_that_is_made() -> None:
    sets = {**BY_VOLUME, "postgres.backup.repository.volume.existingClaim": "shared"}
    installation = Installation("backed-up", (PRODUCTION,), sets)
    assert installation.of_kind("PersistentVolumeClaim") == []
    volume = installation.workload("postgres").volumes["repository"]
    assert volume["persistentVolumeClaim"]["claimName"] == "shared"


def test_one_backup_is_asked_for_at_once_and_two_kinds_by_the_clock() -> None:
    installation = Installation("backed-up", (TESTING,), BY_VOLUME)
    asked = {
        workload.name.removesuffix(workload.name[-9:]) if workload.kind == "Job" else workload.name: (
            workload.containers[0].spec["command"][-1],
            workload.manifest["spec"].get("schedule"),
        )
        for workload in installation.workloads
        if workload.labels["app.kubernetes.io/name"] == "backup"
    }
    assert asked == {
        "backup": ("diff", None),  # of nothing: a full one
        "backup-full": ("full", "0 2 * * 0"),
        "backup-diff": ("diff", "0 2 * * 1-6"),
    }


def test_another_repository_gets_a_backup_at_once() -> None:
    def job(**sets: Any) -> str:
        installation = Installation("backed-up", (TESTING,), {**STORE, **sets})
        return next(one.name for one in installation.workloads if one.kind == "Job" and "backup" in one.name)

    assert job() == job(**{"postgres.backup.retention.full": 9})
    assert job() != job(**{"postgres.backup.repository.s3.path": "/another"})


def test_who_asks_for_a_backup_has_neither_the_data_nor_a_key_of_the_store() -> None:
    installation = Installation("backed-up", (PRODUCTION,), STORE)
    for workload in installation.workloads:
        if workload.labels["app.kubernetes.io/name"] == "backup":
            assert workload.volumes.keys() == {"tls", "tmp"}
            assert "backup-store" not in json.dumps(workload.pod)


def test_a_change_of_what_pgbackrest_reads_alone_restarts_nothing() -> None:
    def template(**sets: Any) -> dict[str, Any]:
        return Installation("backed-up", (TESTING,), {**BY_VOLUME, **sets}).workload("postgres").template

    assert template() == template(**{"postgres.backup.retention.full": 9})


def test_a_single_server_is_restored_before_it_starts_and_cannot_write_to_the_repository() -> None:
    installation = Installation("restored", (TESTING,), {**RESTORED, "postgres.restore.target": TARGET})
    [first] = installation.workload("postgres").pod["initContainers"]
    assert first["command"] == ["/usr/local/bin/restore"]
    restoring = next(one for one in installation.workload("postgres").containers if one.spec["name"] == "restore")
    assert restoring.env["RESTORE_TARGET"]["value"] == TARGET
    for container in (restoring, server(installation)):
        assert mounts(container)["repository"]["readOnly"] is True


def test_of_several_servers_patroni_restores_the_first_and_copies_the_others() -> None:
    installation = Installation(
        "restored", (PRODUCTION,), {**STORE, "postgres.restore.enabled": True, "postgres.restore.target": TARGET}
    )
    config = yaml.safe_load(installation.one("ConfigMap", "postgres-config")["data"]["patroni.yml"])
    assert config["bootstrap"]["method"] == "restore"
    assert config["bootstrap"]["restore"] == {"command": "/usr/local/bin/restore", "no_params": True}
    assert config["postgresql"]["create_replica_methods"] == ["basebackup"]
    assert server(installation).env["RESTORE_TARGET"]["value"] == TARGET
    assert "initContainers" not in installation.workload("postgres").pod
