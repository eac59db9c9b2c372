"""NetworkPolicies: who may talk to whom, for every pair and every port, against the table in docs/network.md."""

from __future__ import annotations

import re
from typing import Any

import pytest
from iot_system.adapters.ray.node import FIXED_PORTS, GCS_PORT

from tests.harness.helm import NAMESPACE, RELEASE
from tests.harness.matrix import JOBS, SERVICES, documented
from tests.harness.policies import ALL, Place, Policies, parsed, ranges, selects
from tests.render.rendered import DEVELOPMENT, EXTERNAL, PLAIN, PRODUCTION, STORE, TESTING, Installation

NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
OUR_NAMESPACE = {"kubernetes.io/metadata.name": NAMESPACE}
SYSTEM = {"kubernetes.io/metadata.name": "kube-system"}
PEERS = {
    "networkPolicy.rest": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
    "networkPolicy.mqtt": [{"ipBlock": {"cidr": "198.51.100.0/24", "except": ["198.51.100.128/25"]}}],
    "networkPolicy.metrics": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
    "networkPolicy.sql": [{"podSelector": {"matchLabels": {"app": "grafana"}}}],
}
FULL = {"sample.enabled": True, **STORE, **PEERS}


def component(name: str, number: int) -> Place:
    """A pod of this installation, labelled as its template says."""
    labels = {NAME: name, INSTANCE: RELEASE, "app.kubernetes.io/part-of": "iot-system"}
    if name == "postgres":
        labels["iot-system/database-role"] = "primary"  # as Patroni says it
    return Place(f"10.244.0.{number}", labels, NAMESPACE, OUR_NAMESPACE)


OWN = {name: component(name, number) for number, name in enumerate((*SERVICES, *JOBS), 1)}
STRANGER = "another pod of the installation"
ROWS = {
    **OWN,
    STRANGER: component("debug", 20),
    "client, of `networkPolicy.rest`": Place(
        "10.244.1.1", {"app": "nginx"}, "ingress", {"kubernetes.io/metadata.name": "ingress"}
    ),
    "device, of `networkPolicy.mqtt`": Place("198.51.100.7"),
    "monitoring, of `networkPolicy.metrics`": Place("10.244.1.2", {"app": "prometheus"}, NAMESPACE, OUR_NAMESPACE),
    "dashboard, of `networkPolicy.sql`": Place("10.244.1.4", {"app": "grafana"}, NAMESPACE, OUR_NAMESPACE),
    "another pod of the namespace": Place("10.244.1.3", {"app": "psql"}, NAMESPACE, OUR_NAMESPACE),
    "elsewhere": Place("203.0.113.9"),
}
OUTSIDE = {
    "DNS": Place("10.244.2.1", {"k8s-app": "kube-dns"}, "kube-system", SYSTEM),
    "Kubernetes API": Place("172.18.0.2"),
    "elsewhere": Place("203.0.113.10"),
}


def cell(policies: Policies, source: Place, targets: list[Place]) -> str:
    """The ports of several targets together, as the table writes them."""
    return ranges(frozenset().union(*(policies.allowed(source, target) for target in targets)))


def matrix(installation: Installation, *, block_matches_pods: bool) -> dict[tuple[str, str], str]:
    """The same table, from the rendered policies."""
    policies = Policies(installation.manifests, block_matches_pods=block_matches_pods)
    columns = {name: [OWN[name]] for name in SERVICES} | {"jobs": [OWN[name] for name in JOBS]}
    columns |= {name: [place] for name, place in OUTSIDE.items()}
    return {
        (row, column): cell(policies, source, targets)
        for row, source in ROWS.items()
        for column, targets in columns.items()
    }


@pytest.mark.parametrize("block_matches_pods", [True, False], ids=["a block is any address", "a block is no pod"])
def test_the_policies_of_production_are_the_table_of_the_documentation(block_matches_pods: bool) -> None:
    found = matrix(Installation("full", (PRODUCTION,), FULL), block_matches_pods=block_matches_pods)
    expected = documented()
    assert found.keys() == expected.keys()
    wrong = {pair: (found[pair], expected[pair]) for pair in expected if found[pair] != expected[pair]}
    assert wrong == {}, "found, documented"


@pytest.mark.parametrize("sets", [FULL, {}], ids=["full", "closed"])
def test_both_ends_of_an_arrow_say_the_same(sets: dict[str, Any]) -> None:
    """A rule that only one end has lets nothing through today, and something once the other end changes."""
    policies = Policies(Installation("full", (PRODUCTION,), sets).manifests)
    # At any address, at these ports, which no pod of ours has: the Kubernetes API, the store of the backups.
    outside = {("TCP", 443), ("TCP", 6443), ("TCP", 9000)}
    for source in OWN:
        for target in OWN:
            leaving = policies.opened(OWN[source], OWN[target], "Egress") - outside
            assert leaving == policies.opened(OWN[target], OWN[source], "Ingress"), (source, target)


def test_every_pod_of_every_installation_with_policies_is_isolated(installation: Installation) -> None:
    policies = Policies(installation.manifests)
    for workload in installation.workloads:
        place = Place("10.0.0.1", workload.labels)
        for direction in ("Ingress", "Egress"):
            assert policies.isolated(place, direction) is (installation.name != "development"), workload


def test_no_installation_allows_more_than_the_table(installation: Installation) -> None:
    if installation.name in ("development", "unencrypted"):  # without policies, and with another port of MQTT
        return
    policies, table = Policies(installation.manifests), documented()
    for source in installation.workloads:
        for target in installation.workloads:
            names = source.labels[NAME], target.labels[NAME]
            column = "jobs" if names[1] in JOBS else names[1]
            allowed = policies.allowed(Place("10.0.0.1", source.labels), Place("10.0.0.2", target.labels))
            found = ranges(allowed)
            if installation.name in PLAIN:  # MQTT without TLS is where MQTT with TLS would be
                found = found.replace("1883", "8883")
            assert set(found.split(", ")) <= set(table[names[0], column].split(", ")) | {"-"}, names


def test_ports_of_the_containers_and_of_ray_are_the_ones_that_policies_open() -> None:
    installation = Installation("full", (PRODUCTION,), FULL)
    policies = Policies(installation.manifests)
    opened = {
        name: set().union(*(policies.allowed(source, OWN[name]) for source in ROWS.values())) for name in SERVICES
    }
    numbers = [number for argument in FIXED_PORTS for number in map(int, re.findall(r"\d+", argument))]
    ray = {("TCP", number) for number in numbers}
    for name in SERVICES:
        ports = {("TCP", number) for number in installation.container(name).ports.values()}
        assert opened[name] == ports | (ray if name in ("actor-system", "ray-head") else set()), name
    assert ("TCP", GCS_PORT) in opened["ray-head"]


def test_every_service_has_a_client_that_may_use_it() -> None:
    installation = Installation("full", (PRODUCTION,), FULL)
    policies = Policies(installation.manifests)
    for service in installation.of_kind("Service"):
        [target] = [
            place for place in OWN.values() if selects({"matchLabels": service["spec"]["selector"]}, place.labels or {})
        ]
        for port in service["spec"]["ports"]:
            wanted = ("TCP", port["port"])
            assert any(wanted in policies.allowed(source, target) for source in ROWS.values()), (
                service["metadata"],
                port,
            )


@pytest.mark.parametrize("values", [TESTING, PRODUCTION], ids=lambda path: path.stem)
def test_nobody_outside_comes_in_unless_the_values_name_him(values: Any) -> None:
    policies = Policies(Installation("closed", (values,)).manifests)
    outside = {name: place for name, place in ROWS.items() if name not in OWN}
    assert {
        (source, name) for source in outside for name in OWN if policies.allowed(outside[source], OWN[name])
    } == set()


def test_a_hole_in_a_block_stays_closed() -> None:
    policies = Policies(Installation("full", (PRODUCTION,), FULL).manifests)
    assert policies.allowed(Place("198.51.100.127"), OWN["api"]) == {("TCP", 8883)}
    assert policies.allowed(Place("198.51.100.128"), OWN["api"]) == set()


@pytest.mark.parametrize(
    ("jwks", "port"),
    [("https://id.example.org/keys", 443), ("http://id.example.org/", 80), ("https://id.example.org:8443/k", 8443)],
)
def test_keys_of_an_identity_provider_are_fetched_at_the_port_of_their_address(jwks: str, port: int) -> None:
    jwt = {"issuer": "https://id.example.org", "audience": "1", "jwks": jwks}
    policies = Policies(
        Installation("jwks", (TESTING,), {f"api.jwt.{key}": value for key, value in jwt.items()}).manifests
    )
    assert policies.allowed(OWN["api"], OUTSIDE["elsewhere"]) == {("TCP", port)}


def test_an_external_database_is_reached_where_the_values_say() -> None:
    sets = {
        "global.database": {"mode": "external", "existingSecret": "mine"},
        "networkPolicy.externalDatabase": {"to": [{"ipBlock": {"cidr": "203.0.113.10/32"}}], "ports": [5432, 6432]},
    }
    policies = Policies(Installation("external", (PRODUCTION,), sets).manifests)
    for name in ("actor-system", "migrate"):
        assert policies.allowed(OWN[name], Place("203.0.113.10")) == {("TCP", 5432), ("TCP", 6432)}
        assert policies.allowed(OWN[name], Place("203.0.113.11")) == set()
    assert policies.allowed(OWN["api"], Place("203.0.113.10")) == set()


def test_external_servers_of_nats_are_reached_where_the_values_say() -> None:
    policies = Policies(Installation("external", (PRODUCTION, EXTERNAL)).manifests)
    for name in ("api", "actor-system", "streams"):
        assert policies.allowed(OWN[name], Place("203.0.113.10")) == {("TCP", 4222)}
        assert policies.allowed(OWN[name], Place("203.0.113.16")) == set()
    assert policies.allowed(OWN["migrate"], Place("203.0.113.10")) == set()


def test_the_kubernetes_api_can_be_narrowed_to_its_address() -> None:
    sets = {"networkPolicy.kubernetesApi": {"to": [{"ipBlock": {"cidr": "172.18.0.2/32"}}], "ports": [6443]}}
    policies = Policies(Installation("narrow", (PRODUCTION,), sets).manifests)
    assert policies.allowed(OWN["secrets"], OUTSIDE["Kubernetes API"]) == {("TCP", 6443)}
    assert policies.allowed(OWN["secrets"], OUTSIDE["elsewhere"]) == set()


def test_without_the_switch_there_are_no_policies() -> None:
    assert Installation("development", (DEVELOPMENT,)).of_kind("NetworkPolicy") == []
    assert Installation("off", (PRODUCTION,), {"networkPolicy.enabled": False}).of_kind("NetworkPolicy") == []


def test_the_evaluator_knows_what_kubernetes_defines() -> None:
    def policy(**spec: Any) -> dict[str, Any]:
        return {"kind": "NetworkPolicy", "spec": {"podSelector": {}, "policyTypes": ["Ingress"], **spec}}

    def found(*rules: dict[str, Any], namespace: str = NAMESPACE) -> frozenset[tuple[str, int]]:
        return Policies([policy(ingress=list(rules))], namespace).allowed(here, there)

    here, there = Place("10.0.0.1", {"a": "1"}), Place("10.0.0.2", {"a": "2"})
    assert Policies([]).allowed(here, there) == ALL
    assert found() == frozenset()
    assert found(namespace="other") == found({}) == ALL
    assert found({"ports": [{"port": 53, "protocol": "UDP"}]}) == {("UDP", 53)}
    assert found({"ports": [{"protocol": "TCP"}]}) == {port for port in ALL if port[0] == "TCP"}
    one = {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}}
    assert found({"from": [one]}) == ALL
    assert Policies([policy(ingress=[{"from": [one]}])]).allowed(there, here) == frozenset()
    elsewhere = one | {"namespaceSelector": {"matchLabels": {"name": "b"}}}
    assert found({"from": [elsewhere]}) == frozenset()
    assert not selects({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "1"})
    assert selects({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"})
    ports = frozenset({("TCP", 1), ("TCP", 2), ("UDP", 2)})
    assert ranges(ports) == "1-2, 2/UDP"
    assert [parsed(ranges(one)) for one in (ports, ALL, frozenset())] == [ports, ALL, frozenset()]
