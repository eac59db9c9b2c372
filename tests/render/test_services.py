"""Services, ports, and whatever refers to another object."""

from __future__ import annotations

from chart_harness.manifests import Workload
from chart_harness.rendering import Manifest

from tests.harness.policies import Place, Policies
from tests.render.rendered import EXPOSED, PLAIN, PRODUCTION, Installation

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
            assert port["targetPort"] in pods.running[0].ports, (service["metadata"]["name"], port)


def test_ports_are_the_ones_that_others_rely_on(installation: Installation) -> None:
    mqtt = {"mqtt": 1883} if installation.name in PLAIN else {"mqtts": 8883}
    if installation.name == "device-certificates":
        mqtt = {"mqtt": 1883, "mqtts": 8883}
    expected = {
        "api-service": {"http": 8000, **mqtt},
        "mqtt-service": mqtt,
        "actor-system-service": {"http": 8000},
        "ray-head": {"gcs": 6379, "http": 8000},
        "nats-service": {"client": 4222},
        "nats-headless": {"client": 4222, "cluster": 6222, "monitor": 8222},
        "database-service": {"postgres": 5432},
        "database-headless": {"postgres": 5432},
    }
    for service in installation.of_kind("Service"):
        name = service["metadata"]["name"].removeprefix("site-a-")
        pods = selected(installation, service["spec"]["selector"])
        assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == expected[name]
        # The same number inside: headless Services translate nothing.
        assert {
            port["name"]: pods.running[0].ports[port["targetPort"]] for port in service["spec"]["ports"]
        } == expected[name]


def test_every_stateful_set_has_its_service(installation: Installation) -> None:
    for stateful in installation.of_kind("StatefulSet"):
        service = installation.one("Service", stateful["spec"]["serviceName"])
        assert selected(installation, service["spec"]["selector"]).manifest is stateful
        # One server alone is found by its Service; of several each needs a name.
        assert service["spec"].get("clusterIP") == "None" or stateful["spec"]["replicas"] == 1


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


def test_only_the_api_can_be_reached_from_outside_and_only_where_that_is_wanted(installation: Installation) -> None:
    outside = [one for one in installation.of_kind("Service") if one["spec"].get("type", "ClusterIP") != "ClusterIP"]
    exposed = ["mqtt-service"] if installation.name == "exposed" else []
    assert [service["metadata"]["name"] for service in outside] == exposed
    for service in outside:
        assert selected(installation, service["spec"]["selector"]).name == "api"
    kinds = {manifest["kind"] for manifest in installation.manifests} & {"Ingress", "HTTPRoute"}
    assert kinds == ({"Ingress", "HTTPRoute"} if exposed else set())


def test_the_api_can_be_given_a_load_balancer() -> None:
    sets = {
        "api.service": {"type": "LoadBalancer", "annotations": {"example.org/scheme": "internal"}},
        "networkPolicy.enabled": False,
    }
    service = Installation("balanced", (), sets).one("Service", "api-service")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"] == {"example.org/scheme": "internal"}


def test_rest_is_reached_under_a_host_name_by_an_ingress() -> None:
    installation = Installation("exposed", (PRODUCTION,), EXPOSED)
    ingress = installation.one("Ingress", "api")
    assert ingress["metadata"]["annotations"] == {"a": "1"}
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"hosts": ["iot.example.org"], "secretName": "iot-tls"}]
    [rule] = ingress["spec"]["rules"]
    [path] = rule["http"]["paths"]
    backend = path["backend"]["service"]
    assert (rule["host"], path["path"], path["pathType"]) == ("iot.example.org", "/", "Prefix")
    [port] = [one for one in installation.one("Service", backend["name"])["spec"]["ports"] if one["name"] == "http"]
    assert backend["port"]["name"] == port["name"]


def test_rest_is_reached_under_a_host_name_by_a_gateway_that_cuts_no_stream() -> None:
    installation = Installation("exposed", (PRODUCTION,), EXPOSED)
    route = installation.one("HTTPRoute", "api")["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "gateways", "sectionName": "https"}]
    assert route["hostnames"] == ["iot.example.org"]
    [rule] = route["rules"]
    [backend] = rule["backendRefs"]
    assert backend["port"] in [one["port"] for one in installation.one("Service", backend["name"])["spec"]["ports"]]
    assert rule["timeouts"] == {"request": "0s"}


def test_mqtt_gets_a_load_balancer_for_the_networks_of_the_devices_alone() -> None:
    installation = Installation("exposed", (PRODUCTION,), EXPOSED)
    service = installation.one("Service", "mqtt-service")
    assert service["spec"]["loadBalancerSourceRanges"] == ["198.51.100.0/24"]
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    assert service["spec"]["loadBalancerClass"] == "lb"
    assert service["metadata"]["annotations"] == {"b": "2"}
    policies = Policies(installation.manifests)
    api = Place("10.0.0.1", installation.workload("api").labels)
    assert policies.allowed(Place("198.51.100.9"), api) == {("TCP", 8883)}
    assert policies.allowed(Place("203.0.113.9"), api) == frozenset()


def test_what_is_not_said_of_a_way_in_is_left_to_the_cluster() -> None:
    sets = {
        "api.ingress.host": "iot.example.org",
        "api.httpRoute": {"host": "iot.example.org", "gateway": {"name": "public"}},
        "api.mqttLoadBalancer.sourceRanges": ["0.0.0.0/0"],
        "networkPolicy.enabled": False,
    }
    installation = Installation("sparse", (), sets)
    assert installation.one("Ingress", "api")["spec"].keys() == {"rules"}
    assert installation.one("HTTPRoute", "api")["spec"]["parentRefs"] == [{"name": "public"}]
    service = installation.one("Service", "mqtt-service")
    assert "loadBalancerClass" not in service["spec"]
    assert "annotations" not in service["metadata"]
