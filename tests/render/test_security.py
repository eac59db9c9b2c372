"""Pod Security "restricted", and what the project asks beyond it."""

from __future__ import annotations

import pytest
from chart_harness.manifests import Workload
from chart_harness.rendering import Manifest
from chart_harness.rules.pods import pod_security, violations

from tests.render.rendered import TESTING, Installation


def test_every_pod_meets_pod_security_restricted(installation: Installation) -> None:
    assert [*pod_security(installation)] == []


def test_the_check_finds_a_pod_that_breaks_the_rules() -> None:
    bare = Workload(
        {"kind": "Pod", "metadata": {"name": "bare"}, "spec": {"hostPID": True, "containers": [{"name": "x"}]}}
    )
    expected = {"hostPID", "allowPrivilegeEscalation", "capabilities.drop", "runAsNonRoot", "seccompProfile"}
    assert set(violations(bare)) == expected


@pytest.mark.parametrize(
    ("broken", "pod", "container"),
    [
        ("seLinuxOptions", {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}, {}),
        ("seLinuxOptions", {}, {"securityContext": {"seLinuxOptions": {"user": "system_u"}}}),
        ("appArmorProfile", {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, {}),
        ("hostProcess", {}, {"securityContext": {"windowsOptions": {"hostProcess": True}}}),
        ("lifecycle host", {}, {"lifecycle": {"preStop": {"httpGet": {"host": "example.org", "port": 80}}}}),
        ("sysctls", {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}}, {}),
        ("probe host", {}, {"livenessProbe": {"tcpSocket": {"host": "example.org", "port": 80}}}),
    ],
)
def test_the_check_finds_what_is_rarely_set(broken: str, pod: Manifest, container: Manifest) -> None:
    bare = {"kind": "Pod", "metadata": {"name": "bare"}}
    plain, wrong = (
        set(violations(Workload({**bare, "spec": {**of_pod, "containers": [{"name": "x", **of_container}]}})))
        for of_pod, of_container in (({}, {}), (pod, container))
    )
    assert wrong - plain == {broken}


def test_the_check_lets_pass_what_restricted_allows() -> None:
    safe = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}], "runAsNonRoot": True}
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["NET_RAW", "ALL"], "add": ["NET_BIND_SERVICE"]}}
    spec = {
        "securityContext": {**safe, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "x", "securityContext": own}],
        "volumes": [{"name": "y", "image": {"reference": "example.org/files:1"}}],
    }
    assert [*violations(Workload({"kind": "Pod", "metadata": {"name": "web"}, "spec": spec}))] == []


def test_the_check_finds_a_profile_of_apparmor_that_an_annotation_turns_off() -> None:
    annotations = {"container.apparmor.security.beta.kubernetes.io/x": "unconfined"}
    spec = {"containers": [{"name": "x"}]}
    bare = Workload({"kind": "Pod", "metadata": {"name": "bare", "annotations": annotations}, "spec": spec})
    assert "AppArmor annotation" in set(violations(bare))


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
