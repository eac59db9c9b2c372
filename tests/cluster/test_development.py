"""values/development.yaml: one replica of each part, nothing to keep, within 1.5 GiB; the chart as users get it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import release
from tests.cluster import sample
from tests.harness import charts
from tests.harness.charts import HelmUser
from tests.harness.helm import RELEASE, values_file
from tests.harness.installation import Installation, Installations
from tests.harness.jetstream import streams
from tests.harness.registry import running_registry

LIMIT_BYTES = 1536 * 1024**2
STREAMS = {"IOT_FRAMES", "IOT_EVENTS"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return charts.package(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> HelmUser:
    return HelmUser(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="module")
def development(installations: Installations, package: Path, user: HelmUser) -> Iterator[Installation]:
    """From an OCI registry."""
    installation = installations.new(values_file("development"))
    with running_registry() as address:
        there = f"oci://{address}/charts"
        user("push", package, there, "--plain-http")
        installation.printed = user("install", *to_be_ready(installation, f"{there}/iot-system"), "--plain-http")
    yield installation
    installations.remove(installation)


def to_be_ready(installation: Installation, chart: str) -> tuple[str, ...]:
    """What an installation, or an upgrade, of a chart from elsewhere is told."""
    namespace = installation.namespace
    where = ("--kubeconfig", str(namespace.cluster.kubeconfig), "--namespace", namespace.name)
    given = ("--version", release.version(), "--values", str(values_file("development")))
    return (RELEASE, chart, *where, *given, "--wait", f"--timeout={installation.ready_within_s:.0f}s")


@pytest.fixture(scope="module")
def loaded(development: Installation) -> Installation:
    """The sample is in it, sent through loopback."""
    sample.replay(development)
    sample.wait_until_applied(development.rest)
    return development


def test_it_becomes_ready_and_breaks_no_rule_of_pod_security(development: Installation) -> None:
    assert development.namespace.not_ready() == []
    assert "PodSecurity" not in development.printed, development.printed


def test_all_streams_are_there_and_fit_the_broker_even_when_they_are_full(development: Installation) -> None:
    found = streams(development.namespace)
    assert found.on_disk.keys() >= STREAMS
    assert found.in_memory == {}, "such a stream is gone with the only server"
    assert all(limit > 0 for limit in found.on_disk.values()), "a stream has no bound"
    assert sum(found.on_disk.values()) <= found.disk_bytes


def test_helm_test_sends_a_reading_and_a_command_and_hears_of_both(development: Installation) -> None:
    printed = development.test()
    assert "Phase:          Succeeded" in printed, printed


def test_what_shards_and_coordinator_log_is_in_the_log_of_their_pod(development: Installation) -> None:
    lines = development.namespace.kubectl("logs", "deployment/actor-system").splitlines()
    services = {json.loads(line).get("service") for line in lines if line.startswith("{")}
    assert {"actor-system", "shard", "coordinator"} <= services, lines


def test_the_whole_sample_is_in_the_history_once_and_the_twins_agree_with_it(loaded: Installation) -> None:
    sample.assert_held_once(loaded.rest)


def test_the_sample_sent_a_second_time_changes_nothing(loaded: Installation) -> None:
    sample.replay(loaded)
    sample.assert_held_once(loaded.rest)


def test_with_the_sample_loaded_everything_together_uses_less_than_1_5_gib(
    loaded: Installation, figures: list[str]
) -> None:
    used = loaded.namespace.cluster.working_set(loaded.namespace.name)
    assert running(loaded) <= used.keys(), "the kubelets say nothing about some pods"
    figures.append(f"values/development.yaml with the sample: {sum(used.values()) // 1024**2} MiB")
    assert sum(used.values()) < LIMIT_BYTES, used


def test_the_same_chart_from_a_repository_is_an_upgrade_that_replaces_nothing(
    development: Installation, package: Path, user: HelmUser, tmp_path: Path
) -> None:
    before = running(development)
    with charts.repository(package, tmp_path) as url:
        user("repo", "add", "ours", url)
        printed = user("upgrade", *to_be_ready(development, "ours/iot-system"))
    assert "has been upgraded" in printed
    assert running(development) == before


def running(development: Installation) -> set[str]:
    """Names of the pods."""
    return {pod for part in ("api", "actor-system", "nats") for pod in development.namespace.ready_pods(part)}
