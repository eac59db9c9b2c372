"""Pod Security "restricted", and what the project asks beyond it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chart_harness.manifests import Workload
from chart_harness.rendering import Manifest

from tests.render.rendered import TESTING, Installation

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(workload: Workload) -> Iterator[str]:
    """Every rule of "baseline" and "restricted" that the pods of a workload break."""
    pod = workload.pod
    security = pod.get("securityContext", {})
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(host):
            yield host
    if security.get("sysctls"):
        yield "sysctls"
    for volume in workload.volumes.values():
        if not (volume.keys() - {"name"}) <= ALLOWED_VOLUMES:
            yield f"volume {volume['name']}"
    for container in workload.containers:
        yield from container_violations(security, container.spec)


def container_violations(pod: Manifest, container: Manifest) -> Iterator[str]:
    own = container.get("securityContext", {})
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities.drop"
    if set(own.get("capabilities", {}).get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield "runAsUser"
    if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
    if any("host" in probe.get("httpGet", {}) for name, probe in container.items() if name.endswith("Probe")):
        yield "probe host"


def test_every_pod_meets_pod_security_restricted(installation: Installation) -> None:
    assert {str(workload): broken for workload in installation.workloads if (broken := [*violations(workload)])} == {}


def test_the_check_finds_a_pod_that_breaks_the_rules() -> None:
    bare = Workload(
        {"kind": "Pod", "metadata": {"name": "bare"}, "spec": {"hostPID": True, "containers": [{"name": "x"}]}}
    )
    expected = {"hostPID", "allowPrivilegeEscalation", "capabilities.drop", "runAsNonRoot", "seccompProfile"}
    assert set(violations(bare)) == expected


def test_the_root_file_system_is_read_only_and_the_user_is_10001(installation: Installation) -> None:
    for workload in installation.workloads:
        security = workload.pod["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (10001, 10001, 10001), workload
        for container in workload.containers:
            assert container.spec["securityContext"]["readOnlyRootFilesystem"] is True, container


def test_every_writable_folder_of_a_pod_is_bounded(installation: Installation) -> None:
    for workload in installation.workloads:
        for volume in workload.volumes.values():
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"], (workload, volume["name"])


def test_only_the_secrets_job_and_patroni_get_a_token_for_kubernetes(installation: Installation) -> None:
    with_token = {
        workload.labels["app.kubernetes.io/name"]
        for workload in installation.workloads
        if workload.pod["automountServiceAccountToken"]
    }
    kept_by_patroni = any(port == 8008 for one in installation.containers for port in one.ports.values())
    made = installation.made_secrets or installation.made_certificates
    expected = ({"secrets"} if made else set()) | ({"postgres"} if kept_by_patroni else set())
    assert with_token == expected
    assert not any(account["automountServiceAccountToken"] for account in installation.of_kind("ServiceAccount"))


def test_every_pod_runs_under_an_account_of_the_chart(installation: Installation) -> None:
    accounts = {account["metadata"]["name"] for account in installation.of_kind("ServiceAccount")}
    assert {workload.pod["serviceAccountName"] for workload in installation.workloads} == accounts


@pytest.mark.parametrize("name", ["secrets", "secrets-renewal"])
def test_the_secrets_job_may_read_and_change_its_own_secrets_and_create_and_nothing_else(name: str) -> None:
    installation = Installation("testing", (TESTING,))
    made = installation.made_certificates
    rules = installation.one("Role", name)["rules"]
    assert rules == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": sorted(
                [*installation.made_secrets, *made["signed"], *made["separate"], made["authority"]]
            ),
            "verbs": ["get", "patch"],
        },
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    ]
    binding = installation.one("RoleBinding", name)
    assert binding["roleRef"]["name"] == name
    assert [subject["name"] for subject in binding["subjects"]] == [name]
    patronis = {"postgres"}
    for kind in ("Role", "RoleBinding"):
        assert len({one["metadata"]["name"] for one in installation.of_kind(kind)} - patronis) == 2


def test_the_names_of_other_services_stay_out_of_the_environment(installation: Installation) -> None:
    # With the prefix `iot-` they would even look like settings: IOT_API_SERVICE_HOST.
    assert all(workload.pod["enableServiceLinks"] is False for workload in installation.workloads)
