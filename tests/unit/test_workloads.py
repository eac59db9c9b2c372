"""What runs in the objects of a chart: sidecars too, and nothing of which another controller says what it is."""

from __future__ import annotations

from chart_harness.manifests import Objects
from chart_harness.rendering import Manifest
from chart_harness.rules.pods import probes
from chart_harness.rules.references import ports

SIDECAR: Manifest = {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 80}]}


class Given(Objects):
    """Of these manifests."""

    def __init__(self, *manifests: Manifest) -> None:
        self._manifests = [*manifests]

    @property
    def manifests(self) -> list[Manifest]:
        return self._manifests


def deployment(beside: Manifest) -> Manifest:
    """Whose pods have a container without ports and, before it, another one."""
    labels = {"app": "web"}
    pod = {"initContainers": [beside], "containers": [{"name": "web"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def service() -> Manifest:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}
    return {"kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def test_a_service_may_lead_to_a_sidecar() -> None:
    assert [*ports(Given(deployment(SIDECAR), service()))] == []


def test_a_service_leads_to_nothing_that_ends() -> None:
    ending = {key: value for key, value in SIDECAR.items() if key != "restartPolicy"}
    [complaint] = ports(Given(deployment(ending), service()))
    assert complaint == "Service/web leads to port http, which Deployment/web has not"


def test_a_sidecar_has_probes() -> None:
    assert "Deployment/web/proxy has no readinessProbe" in [*probes(Given(deployment(SIDECAR)))]


def test_a_job_of_another_group_is_none_of_kubernetes() -> None:
    manifest = {"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "x"}, "spec": {}}
    assert Given(manifest).workloads == []
    assert [one.name for one in Given(manifest | {"apiVersion": "batch/v1"}).workloads] == ["x"]
