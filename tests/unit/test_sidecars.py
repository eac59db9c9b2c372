"""A container that starts before the others and runs on is asked for what all are asked for that run for ever."""

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
