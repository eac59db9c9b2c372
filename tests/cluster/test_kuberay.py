"""values/testing.yaml with the pods of Ray kept by KubeRay's operator, as it comes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack

import pytest
from chart_harness.cluster import Kubernetes, Namespace
from chart_harness.waiting import wait_until

from tests.harness.applied import found_in
from tests.harness.entry import open_to
from tests.harness.helm import values_file
from tests.harness.installation import Installation, Installations
from tests.harness.kuberay import KubeRay
from tests.harness.traffic import Traffic

PODS = {"actor-system": 3, "ray-head": 1}
READY_WITHIN_S = 180.0
SEED = 20170705


@pytest.fixture(scope="module")
def operator(kubernetes: Kubernetes, pytestconfig: pytest.Config) -> Iterator[None]:
    if pytestconfig.getoption("cluster_type") == "existing" or pytestconfig.getoption("kubeconfig"):
        pytest.skip("the operator's image is brought to the project's own cluster only")
    started = KubeRay(kubernetes)
    try:
        started.start()
        yield
    finally:
        started.remove()


@pytest.fixture(scope="module")
def installation(operator: None, installations: Installations, kubernetes: Kubernetes) -> Iterator[Installation]:
    sets = open_to(kubernetes) | {"actor-system.ray.mode": "kuberay", "sample.enabled": False}
    installed = installations.new(values_file("testing"), name="kuberay", sets=sets)
    installed.install()
    wait_for_ray(installed.namespace)
    yield installed
    installations.remove(installed)


def wait_for_ray(namespace: Namespace, without: Collection[str] = ()) -> None:
    """Return when all pods of the RayCluster are ready, and none of those named ``without`` is among them."""

    def lacking() -> dict[str, list[str]]:
        ready = {name: namespace.ready_pods(name) for name in PODS}
        return {name: pods for name, pods in ready.items() if len(pods) != PODS[name] or {*pods} & {*without}}

    wait_until(lambda: not lacking(), within_s=READY_WITHIN_S, every_s=1, why="the pods of Ray are not ready")


def test_pods_of_the_operator_come_back_under_load_and_nothing_is_lost(installation: Installation) -> None:
    namespace, entry = installation.namespace, installation.entry
    traffic = Traffic(entry.url, installation.token, entry.mqtt, seed=SEED, name="kuberay", trust=installation.trust)
    with ExitStack() as started:
        started.callback(traffic.stop)
        traffic.start()
        for component in PODS:
            pod = namespace.ready_pods(component)[0]
            namespace.kubectl("delete", "pod", pod)
            wait_for_ray(namespace, without=[pod])
    findings = found_in(traffic.ledger, entry.rest, traffic.rooms)
    assert traffic.ledger.count_acknowledged()
    assert findings.clean, findings


def test_nodes_can_be_drained_one_pod_at_a_time(installation: Installation) -> None:
    budget = installation.namespace.read("poddisruptionbudget", "actor-system")["status"]
    assert (budget["expectedPods"], budget["disruptionsAllowed"]) == (PODS["actor-system"], 1), budget


def test_the_operator_starts_the_pods_by_their_own_command_after_its_own_question(installation: Installation) -> None:
    for pod in installation.namespace.pods("actor-system"):
        [asked] = pod["spec"]["initContainers"]
        assert asked["name"] == "wait-gcs-ready"
        [container] = pod["spec"]["containers"]
        assert (container.get("command"), container["args"]) == (None, ["actor-system"])


def test_the_pods_of_ray_come_to_the_chart_and_back_to_the_operator_under_load(
    installation: Installation, figures: list[str]
) -> None:
    entry = installation.entry
    traffic = Traffic(entry.url, installation.token, entry.mqtt, seed=SEED, name="moving", trust=installation.trust)
    with ExitStack() as started:
        started.callback(traffic.stop)
        traffic.start()
        traffic.wait_until_heard()
        installation.upgrade({"actor-system.ray.mode": "separate"})
        traffic.wait_until_heard()
        installation.roll_back()
        wait_for_ray(installation.namespace)
        traffic.wait_until_heard()
    findings = found_in(traffic.ledger, entry.rest, traffic.rooms)
    assert findings.clean, findings
    gap_s = traffic.ledger.gap_s(traffic.devices)
    figures.append(f"pods of Ray from the operator to the chart and back: the longest wait of a device {gap_s:.1f} s")
