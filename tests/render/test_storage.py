"""Volumes, and what may fill them."""

from __future__ import annotations

import re

import pytest
from chart_harness.manifests import Container
from chart_harness.quantities import amount
from iot_system.adapters.nats.broker.streams import MESSAGES_BYTES, RETAINED_BYTES, SESSIONS_BYTES

from tests.render.rendered import TESTING, WITH_NATS, Installation


def test_state_lies_on_claims_and_nowhere_else(installation: Installation) -> None:
    claims = {
        workload.labels["app.kubernetes.io/name"]: list(workload.claims)
        for workload in installation.services
        if workload.kind == "StatefulSet"
    }
    assert claims.keys() <= {"nats", "postgres", "ray-head"}
    assert all(len(names) == 1 for names in claims.values())


def test_what_a_server_keeps_lies_on_its_claim(installation: Installation) -> None:
    for workload in installation.services:
        for container in workload.running:
            claims = {name for name, volume in workload.volumes.items() if "persistentVolumeClaim" in volume}
            claims |= set(workload.claims)
            mounts = [one["mountPath"] for one in container.spec["volumeMounts"] if one["name"] in claims]
            kept = [folder for folder in kept_in(installation, container) if folder not in mounts]
            assert all(folder.startswith(tuple(f"{mount}/" for mount in mounts)) for folder in kept), container


def kept_in(installation: Installation, container: Container) -> list[str]:
    """Where a server is told to keep what it must not lose, by its environment or its configuration."""
    told = [container.env[name]["value"] for name in ("IOT_RAY_STORAGE", "PGDATA") if name in container.env]
    mounted = [volume["configMap"]["name"] for volume in container.workload.volumes.values() if "configMap" in volume]
    files = [text for name in mounted for text in installation.one("ConfigMap", name)["data"].values()]
    return told + re.findall(r"^ *(?:store_dir|data_dir): (\S+)$", "\n".join(files), re.MULTILINE)


def test_the_storage_class_is_the_clusters_default_unless_one_is_named() -> None:
    def classes(installation: Installation) -> set[str | None]:
        return {
            claim["spec"].get("storageClassName")
            for workload in installation.services
            if workload.kind == "StatefulSet"
            for claim in workload.claims.values()
        }

    assert classes(Installation("testing", (TESTING,))) == {None}
    assert classes(Installation("fast", (TESTING,), {"global.storageClass": "fast"})) == {"fast"}


@pytest.mark.parametrize("installation", WITH_NATS, ids=str)
def test_nats_stops_taking_data_before_its_volume_is_full(installation: Installation) -> None:
    config = next(one for one in installation.of_kind("ConfigMap") if one["metadata"]["name"].endswith("nats-config"))
    bound = int(re.findall(r"max_file_store: (\d+)", config["data"]["nats.conf"])[0])
    nats = next(workload for workload in installation.services if workload.containers[0].spec["name"] == "nats")
    volume = amount(nats.claims["data"]["spec"]["resources"]["requests"]["storage"])
    assert 0.75 * volume <= bound <= 0.85 * volume


@pytest.mark.parametrize("installation", WITH_NATS, ids=str)
def test_the_broker_has_room_for_all_streams_as_large_as_they_may_become(installation: Installation) -> None:
    broker = next(one for one in installation.of_kind("ConfigMap") if one["metadata"]["name"].endswith("nats-config"))
    bound = int(re.findall(r"max_file_store: (\d+)", broker["data"]["nats.conf"])[0])
    actors = next(
        one for one in installation.of_kind("ConfigMap") if one["metadata"]["name"].endswith("actor-system-config")
    )
    frames, events = (int(actors["data"][f"IOT_{stream}_MAX_BYTES"]) for stream in ("STREAM", "EVENTS"))
    assert frames + events + MESSAGES_BYTES + RETAINED_BYTES + SESSIONS_BYTES <= bound


@pytest.mark.parametrize(("limit", "buffers"), [("1Gi", "262144kB"), ("512Mi", "131072kB")])
def test_postgres_takes_a_quarter_of_its_memory_for_buffers(limit: str, buffers: str) -> None:
    installation = Installation("sized", (TESTING,), {"postgres.resources.limits.memory": limit})
    config = installation.one("ConfigMap", "postgres-config")["data"]["postgresql.conf"]
    assert f"shared_buffers = '{buffers}'" in config


def test_postgres_never_trades_durability_for_speed() -> None:
    config = Installation("testing", (TESTING,)).one("ConfigMap", "postgres-config")["data"]
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert f"\n{setting} = on\n" in config["postgresql.conf"]
    assert re.search(r"^hostssl\s.*\sscram-sha-256\s", config["pg_hba.conf"], re.MULTILINE)
    assert not re.search(r"^host.*\strust\b", config["pg_hba.conf"], re.MULTILINE)
