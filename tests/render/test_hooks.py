"""What runs when: secrets first, the migration beside everything, the sample last, the check on demand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.helm import Manifest
from tests.render.rendered import DEVELOPMENT, HOOK, PLAIN, TESTING, Installation


def notes(manifest: Manifest) -> dict[str, str]:
    found: dict[str, str] = manifest["metadata"].get("annotations", {})
    return found


def migrations(**sets: Any) -> list[str]:
    installation = Installation(
        "migrated", (TESTING,), {path.replace("__", "."): value for path, value in sets.items()}
    )
    return [job["metadata"]["name"] for job in installation.of_kind("Job") if "migrate" in job["metadata"]["name"]]


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


def test_the_migration_is_an_ordinary_job_so_that_waiting_for_the_pods_cannot_stop_it() -> None:
    job = Installation("testing", (TESTING,)).workload(migrations()[0])
    assert notes(job.manifest) == {}
    assert job.containers[0].spec["args"] == ["migrate"]
    assert job.containers[0].env["DATABASE_URL"]["valueFrom"]["secretKeyRef"]["key"] == "url"


def test_a_migration_that_would_run_differently_is_another_job() -> None:
    assert migrations() == migrations()
    assert migrations() != migrations(global__image__tag="another")
    assert migrations() != migrations(global__database__existingSecret="other")
    assert migrations() == migrations(api__replicas=1)


def test_a_migration_goes_when_it_has_ended_so_that_a_later_upgrade_runs_it_again() -> None:
    job = Installation("testing", (TESTING,)).workload(migrations()[0])
    assert 60 <= job.manifest["spec"]["ttlSecondsAfterFinished"] <= 3600


def test_a_database_in_memory_needs_no_migration_job() -> None:
    jobs = Installation("development", (DEVELOPMENT,)).of_kind("Job")
    assert [job["metadata"]["name"] for job in jobs] == ["secrets"]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_sample_is_loaded_after_the_installation_where_it_is_wanted(enabled: bool) -> None:
    installation = Installation("sampled", (TESTING,), {"sample.enabled": enabled})
    jobs = [job for job in installation.of_kind("Job") if job["metadata"]["name"] == "sample"]
    assert [notes(job)[HOOK] for job in jobs] == (["post-install"] if enabled else [])


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
