"""What runs when: secrets first, migration and streams beside everything, the sample last, the check on demand."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.harness.helm import Manifest
from tests.render.rendered import DEVELOPMENT, EXTERNAL, HOOK, PLAIN, PRODUCTION, TESTING, Container, Installation


def notes(manifest: Manifest) -> dict[str, str]:
    found: dict[str, str] = manifest["metadata"].get("annotations", {})
    return found


def jobs(name: str, **sets: Any) -> list[str]:
    """The names of those that are called ``name`` and something."""
    installation = Installation("changed", (TESTING,), {path.replace("__", "."): value for path, value in sets.items()})
    found = [str(job["metadata"]["name"]) for job in installation.of_kind("Job")]
    return [one for one in found if one.startswith(f"{name}-")]


def test_secrets_are_made_before_anything_else_and_by_rights_that_exist_already() -> None:
    installation = Installation("testing", (TESTING,))
    weights = {
        manifest["kind"]: int(notes(manifest)["helm.sh/hook-weight"])
        for manifest in installation.manifests
        if notes(manifest).get(HOOK) == "pre-install,pre-upgrade"
    }
    assert weights.keys() == {"ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "Job"}
    assert weights.pop("Job") > max(weights.values())


def test_what_renews_certificates_stays_with_the_release_and_has_rights_of_its_own_that_stay_too() -> None:
    installation = Installation("testing", (TESTING,))
    staying = {one["kind"]: one for one in installation.manifests if one["metadata"]["name"] == "secrets-renewal"}
    assert staying.keys() == {"ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "CronJob"}
    assert all(notes(one) == {} for one in staying.values())
    pod = installation.workload("secrets-renewal").pod
    assert pod["serviceAccountName"] == staying["RoleBinding"]["subjects"][0]["name"] == "secrets-renewal"
    assert pod["containers"] == installation.workload("secrets").pod["containers"]


@pytest.mark.parametrize("name", ["migrate", "streams"])
def test_what_pods_wait_for_is_made_by_an_ordinary_job_so_that_waiting_for_the_pods_cannot_stop_it(name: str) -> None:
    job = Installation("testing", (TESTING,)).workload(jobs(name)[0])
    assert notes(job.manifest) == {}
    assert job.containers[0].spec["args"] == [name]


@pytest.mark.parametrize(
    ("name", "part", "others"),
    [("migrate", "database", {}), ("streams", "nats", {"global__stream__maxSize": "900Mi"})],
)
def test_a_job_that_would_run_differently_is_another_one(name: str, part: str, others: dict[str, Any]) -> None:
    assert jobs(name) == jobs(name)
    for sets in ({"global__image__tag": "another"}, {f"global__{part}__existingSecret": "other"}, others):
        assert not sets or jobs(name) != jobs(name, **sets), sets
    assert jobs(name) == jobs(name, api__replicas=1)


@pytest.mark.parametrize("name", ["migrate", "streams"])
def test_a_job_goes_when_it_has_ended_so_that_a_later_upgrade_runs_it_again(name: str) -> None:
    job = Installation("testing", (TESTING,)).workload(jobs(name)[0])
    assert 60 <= job.manifest["spec"]["ttlSecondsAfterFinished"] <= 3600


def test_a_job_selects_its_pods_itself_so_that_an_upgrade_can_be_taken_back_while_it_is_there(
    installation: Installation,
) -> None:
    """Helm strips what it takes up again of all that the chart does not say: of a selector by Kubernetes, for one."""
    for job in installation.of_kind("Job"):
        if HOOK in notes(job):
            continue
        selected = job["spec"]["selector"]["matchLabels"]
        assert job["spec"]["manualSelector"]
        assert job["metadata"]["name"] in selected.values(), "another Job's pods would be taken for its own"
        assert selected.items() <= job["spec"]["template"]["metadata"]["labels"].items()


def test_a_database_in_memory_needs_no_migration_job() -> None:
    found = [job["metadata"]["name"] for job in Installation("development", (DEVELOPMENT,)).of_kind("Job")]
    assert [re.sub("-[0-9a-f]{8}$", "", name) for name in found] == ["streams", "secrets"]


def test_streams_of_servers_outside_are_made_by_whoever_is_named_or_by_nobody() -> None:
    def containers(**sets: Any) -> list[Container]:
        installation = Installation("external", (PRODUCTION, EXTERNAL), sets)
        return [one for one in installation.containers if one.spec["name"] == "streams"]

    [container] = containers(**{"global.nats.existingSecret": "mine"})
    for variable, key in (("NATS_USER", "username"), ("NATS_PASSWORD", "password")):
        assert container.env[variable]["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": key}
    assert container.env["NATS_TLS_CA"]["value"] == "/etc/iot-system/nats-ca/ca.crt"
    assert containers(**{"global.nats.existingSecret": ""}) == []


@pytest.mark.parametrize("enabled", [True, False])
def test_the_sample_is_loaded_after_the_installation_where_it_is_wanted(enabled: bool) -> None:
    installation = Installation("sampled", (TESTING,), {"sample.enabled": enabled})
    samples = [job for job in installation.of_kind("Job") if job["metadata"]["name"] == "sample"]
    assert [notes(job)[HOOK] for job in samples] == (["post-install"] if enabled else [])


def test_helm_test_sends_a_reading_through_the_public_interface(installation: Installation) -> None:
    pods = [workload for workload in installation.workloads if workload.kind == "Pod"]
    if installation.name == "device-certificates":
        assert pods == [], "nobody comes in without a certificate of the user's"
        return
    [check] = pods
    assert notes(check.manifest)[HOOK] == "test"
    api = next(
        one["metadata"]["name"]
        for one in installation.of_kind("Service")
        if one["metadata"]["name"].endswith("api-service")
    )
    where = ["check", "--url", f"https://{api}:8000", "--mqtt", f"mqtts://{api}:8883"]
    if installation.name in PLAIN:
        where = ["check", "--url", f"http://{api}:8000", "--mqtt", f"{api}:1883"]
    assert check.containers[0].spec["args"] == where
    assert check.containers[0].env["IOT_ADMIN_TOKEN"]["valueFrom"]["secretKeyRef"]["key"] == "admin-token"
