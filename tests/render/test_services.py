"""Services, ports, and whatever refers to another object."""

from __future__ import annotations

from tests.harness.helm import Manifest
from tests.render.rendered import Installation, Workload


ROLE = "iot-system/database-role"
"""Of all labels of pods the one that comes at run time, from Patroni."""


def selected(installation: Installation, selector: dict[str, str]) -> Workload:
    """The one workload whose pods a selector matches."""
    selector = {name: value for name, value in selector.items() if name != ROLE}
    found = [workload for workload in installation.workloads if workload.labels.items() >= selector.items()]
    assert len(found) == 1, (selector, [str(workload) for workload in found])
    return found[0]


def test_every_service_leads_to_ports_that_its_pods_open(installation: Installation) -> None:
    for service in installation.of_kind("Service"):
        pods = selected(installation, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in pods.containers[0].ports, (service["metadata"]["name"], port)


def test_ports_are_the_ones_that_others_rely_on(installation: Installation) -> None:
    expected = {
        "api-service": {"http": 8000, "mqtt": 1883},
        "actor-system-service": {"http": 8000},
        "ray-head": {"gcs": 6379, "http": 8000},
        "nats-service": {"client": 4222},
        "nats-headless": {"client": 4222, "cluster": 6222, "monitor": 8222},
        "database-service": {"postgres": 5432},
    }
    for service in installation.of_kind("Service"):
        name = service["metadata"]["name"].removeprefix("site-a-")
        pods = selected(installation, service["spec"]["selector"])
        assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == expected[name]
        # The same number inside: headless Services translate nothing.
        assert {
            port["name"]: pods.containers[0].ports[port["targetPort"]] for port in service["spec"]["ports"]
        } == expected[name]


def test_every_stateful_set_has_its_service(installation: Installation) -> None:
    for stateful in installation.of_kind("StatefulSet"):
        service = installation.one("Service", stateful["spec"]["serviceName"])
        assert selected(installation, service["spec"]["selector"]).manifest is stateful


def test_members_find_each_other_before_they_are_ready(installation: Installation) -> None:
    headless = [service for service in installation.of_kind("Service") if service["spec"].get("clusterIP") == "None"]
    assert headless
    assert all(service["spec"]["publishNotReadyAddresses"] is True for service in headless)


def test_autoscalers_lead_to_deployments_and_never_go_below_the_replicas(installation: Installation) -> None:
    for scaler in installation.of_kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        deployment: Manifest = installation.one(target["kind"], target["name"])
        assert scaler["spec"]["minReplicas"] == deployment["spec"]["replicas"] <= scaler["spec"]["maxReplicas"]
        assert "cpu" in deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]


def test_only_the_api_can_be_reached_from_outside(installation: Installation) -> None:
    for service in installation.of_kind("Service"):
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP"


def test_the_api_can_be_given_a_load_balancer() -> None:
    sets = {"api.service": {"type": "LoadBalancer", "annotations": {"example.org/scheme": "internal"}}}
    service = Installation("balanced", (), sets).one("Service", "api-service")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"] == {"example.org/scheme": "internal"}
