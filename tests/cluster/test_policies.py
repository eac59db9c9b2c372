"""NetworkPolicies by packets: every pair of docs/network.md that is installed, where the cluster enforces them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from chart_harness.cluster import NAME, Kubernetes, Namespace
from chart_harness.waiting import wait_until

from tests.harness import attempts, beside, bystanders
from tests.harness.attempts import is_reached
from tests.harness.helm import RELEASE
from tests.harness.installation import Installation
from tests.harness.listening import listening
from tests.harness.matrix import SERVICES, documented
from tests.harness.policies import parsed

TABLE = {pair: parsed(cell) for pair, cell in documented().items()}
WITHIN_S = 30.0
"""In which a policy is in force everywhere."""
OURS = {"app.kubernetes.io/instance": RELEASE, "app.kubernetes.io/part-of": "iot-system"}
JOBS = ("migrate", "streams", "secrets", "sample", "check")
"""Whose pods have ended; others get their labels. There are no backups here, hence none of their job."""
STRANGER, NEIGHBOUR, OUTSIDER = "another pod of the installation", "another pod of the namespace", "elsewhere"
INSIDE = {
    **{name: (f"as-{name}", {NAME: name, **OURS}) for name in JOBS},
    STRANGER: ("as-stranger", {NAME: "debug", **OURS}),
    NEIGHBOUR: ("as-neighbour", {"app": "psql"}),
}
"""Row of the table → name and labels of a pod in the installation's namespace."""
OUTSIDE = {"outsider": {"app": "outsider"}, "shut": {"app": "shut"}}
SHUT = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "shut"},
    "spec": {"podSelector": {"matchLabels": OUTSIDE["shut"]}, "policyTypes": ["Ingress"]},
}
SERVICE = "kubernetes.io/service-name"
WAY_IN = "iot-system/way-in"
"""Label of Services that are made here."""
GUARDED = {"actor-system": 8000, "ray-head": 6379, "nats": 4222, "postgres": 5432}
RAY_WORKERS = frozenset(range(10110, 10150))
"""Ports that come and go; every other port of a component is open in all of its pods."""


class Pod(NamedTuple):
    """``row`` is the pod's name in the table."""

    row: str
    namespace: Namespace
    name: str
    address: str
    node: str
    """Its node's address."""


class Target(NamedTuple):
    column: str
    host: str
    port: int
    protocol: str = "TCP"


def pod(row: str, namespace: Namespace, found: dict[str, Any]) -> Pod:
    return Pod(row, namespace, found["metadata"]["name"], found["status"]["podIP"], found["status"]["hostIP"])


@pytest.fixture(scope="module")
def elsewhere(kubernetes: Kubernetes, testing: Installation) -> Iterator[Pod]:
    """A pod of another namespace. Skips where a pod that is shut for everybody can be reached from there."""
    namespace = Namespace(kubernetes, f"iot-policies-{secrets.token_hex(3)}")
    namespace.create()
    try:
        bystanders.start(namespace, beside.python_image(testing.namespace), OUTSIDE)
        outsider, shut = (pod(OUTSIDER, namespace, namespace.read("pod", name)) for name in OUTSIDE)
        target = Target("", shut.address, bystanders.PORT)
        assert reached(testing, outsider, {target: True})[target], "without policies, pods reach each other"
        namespace.kubectl("create", "--filename=-", stdin=json.dumps(SHUT))
        if reached(testing, outsider, {target: False})[target]:
            pytest.skip("the cluster's network enforces no NetworkPolicies: a pod that admits nobody was reached")
        yield outsider
    finally:
        namespace.delete()


@pytest.fixture(scope="module")
def pods(testing: Installation, elsewhere: Pod) -> Iterator[list[Pod]]:
    """All pods of the installation, one for each job, and strangers."""
    namespace = testing.namespace
    own = [pod(component, namespace, found) for component in SERVICES for found in namespace.pods(component)]
    others = dict(INSIDE.values())
    try:
        bystanders.start(namespace, beside.python_image(namespace), others)
        yield [
            *own,
            *(pod(row, namespace, namespace.read("pod", name)) for row, (name, _) in INSIDE.items()),
            elsewhere,
        ]
    finally:
        bystanders.stop(namespace, others)


@pytest.fixture(scope="module")
def api_servers(kubernetes: Kubernetes) -> list[Target]:
    slices = kubernetes.read("--namespace=default", "endpointslices", f"--selector={SERVICE}=kubernetes")["items"]
    return [
        Target("Kubernetes API", address, port["port"])
        for one in slices
        for endpoint in one["endpoints"]
        for address in endpoint["addresses"]
        for port in one["ports"]
    ]


@pytest.fixture(scope="module")
def one_of_each(pods: list[Pod], api_servers: list[Target]) -> dict[str, Pod]:
    """Row of the table → a pod of it, where possible on a node without a Kubernetes API: it always reaches its own."""
    with_api = {one.host for one in api_servers}
    return {one.row: one for one in sorted(pods, key=lambda one: one.node not in with_api)}


@pytest.fixture(scope="module")
def targets(
    kubernetes: Kubernetes, pods: list[Pod], one_of_each: dict[str, Pod], api_servers: list[Target]
) -> list[Target]:
    """Everything that listens: in all pods, the name servers, and the Kubernetes API."""
    first = [one_of_each[component] for component in SERVICES]
    with ThreadPoolExecutor() as threads:
        found = threads.map(lambda one: listening(one.namespace, one.name), first)
    ports = {one.row: {number for _, number in some} - RAY_WORKERS for one, some in zip(first, found, strict=True)}
    columns = {**{name: name for name in SERVICES}, **dict.fromkeys(JOBS, "jobs"), OUTSIDER: OUTSIDER}
    names = kubernetes.read("--namespace=kube-system", "pods", "--selector=k8s-app=kube-dns")["items"]
    return [
        *(
            Target(columns[one.row], one.address, port)
            for one in pods
            if one.row in columns
            for port in ports.get(one.row, {bystanders.PORT})
        ),
        *(Target("DNS", one["status"]["podIP"], 53, protocol) for one in names for protocol in ("TCP", "UDP")),
        *api_servers,
    ]


@pytest.fixture(scope="module")
def outcomes(
    testing: Installation, one_of_each: dict[str, Pod], targets: Sequence[Target]
) -> dict[str, dict[Target, bool]]:
    """Row of the table → target → whether a pod of that row reaches it."""

    def of(source: Pod) -> dict[Target, bool]:
        # A pod always reaches itself, and its own node.
        others = [one for one in targets if one.host not in (source.address, source.node)]
        return reached(testing, source, {one: allowed(source.row, one) for one in others})

    with ThreadPoolExecutor() as threads:
        return dict(zip(one_of_each, threads.map(of, one_of_each.values()), strict=True))


def reached(testing: Installation, source: Pod, wanted: dict[Target, bool]) -> dict[Target, bool]:
    """Which targets the source reaches, once that is as ``wanted``, or will not be."""
    asked = json.dumps([[one.host, one.port, one.protocol, is_open] for one, is_open in wanted.items()])
    program = Path(attempts.__file__).read_text()
    image = beside.python_image(testing.namespace)
    printed = beside.run(source.namespace, source.name, image, program, asked, f"{WITHIN_S:g}")
    return dict(zip(wanted, json.loads(printed), strict=True))


def allowed(row: str, target: Target) -> bool:
    """What the table says."""
    return (target.protocol, target.port) in TABLE[row, target.column]


@pytest.mark.parametrize("row", [*SERVICES, *INSIDE, OUTSIDER])
def test_a_pod_reaches_what_the_table_allows_and_nothing_else(
    row: str, outcomes: dict[str, dict[Target, bool]]
) -> None:
    wrong = {target: found for target, found in outcomes[row].items() if found != allowed(row, target)}
    assert wrong == {}, f"{len(outcomes[row])} tried"
    assert False in outcomes[row].values()


def test_every_port_that_somebody_listens_on_is_reached_by_someone(
    outcomes: dict[str, dict[Target, bool]], targets: Sequence[Target]
) -> None:
    """Else a pod that is not there would count as one that is well guarded."""
    opened = {(one.column, one.port) for found in outcomes.values() for one, is_open in found.items() if is_open}
    metrics = {("api", 8000), ("actor-system", 8000), ("ray-head", 8000), ("nats", 8222)}
    unseen = {(one.column, one.port) for one in targets} - opened
    assert unseen - metrics <= {("jobs", bystanders.PORT)}


def test_a_node_port_leads_to_no_pod_whose_policy_admits_no_strangers(testing: Installation, pods: list[Pod]) -> None:
    """From this machine; the API's own node ports, which the installation is open at, are the way of other tests."""
    host, _ = testing.entry.mqtt
    _, labels = INSIDE[NEIGHBOUR]
    try:
        shut = [node_port(testing.namespace, {NAME: component}, port) for component, port in GUARDED.items()]
        # The last one: when it leads somewhere, so do the others, as far as Services are concerned.
        opened = node_port(testing.namespace, labels, bystanders.PORT)
        wait_until(lambda: is_reached(host, opened), within_s=WITHIN_S, why="a pod without policies was not reached")
        assert [port for port in shut if is_reached(host, port)] == []
    finally:
        testing.namespace.kubectl("delete", "services", f"--selector={WAY_IN}")


def node_port(namespace: Namespace, labels: Mapping[str, str], port: int) -> int:
    """A new way in to pods with these labels."""
    spec = {"type": "NodePort", "selector": labels, "ports": [{"port": port}]}
    metadata = {"generateName": "way-in-", "labels": {WAY_IN: ""}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    made = namespace.kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(service))
    return int(json.loads(made)["spec"]["ports"][0]["nodePort"])
