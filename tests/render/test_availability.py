"""Replicas, disruptions, updates and stops."""

from __future__ import annotations

from copy import deepcopy

import pytest
from chart_harness.manifests import Workload

from tests.render.rendered import DEVELOPMENT, PRODUCTION, TESTING, Installation

DRAIN_S = 20
ZONE_AND_NODE = ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_replicas_are_spread_over_zones_and_nodes(installation: Installation) -> None:
    for workload in installation.services:
        constraints = workload.pod.get("topologySpreadConstraints", [])
        several = workload.manifest["spec"]["replicas"] > 1
        assert [one["topologyKey"] for one in constraints] == (ZONE_AND_NODE if several else []), workload
        for one in constraints:
            assert one["labelSelector"]["matchLabels"].items() <= workload.labels.items()
            # Each revision for itself, so that old pods do not decide where new ones go; a set has no such label.
            assert one.get("matchLabelKeys", []) == (["pod-template-hash"] if workload.kind == "Deployment" else [])
            assert one["nodeTaintsPolicy"] == "Honor", "a node that is lost must not count as an empty one"


def test_spreading_is_a_preference_but_for_the_nodes_of_production(installation: Installation) -> None:
    for workload in installation.services:
        for one in workload.pod.get("topologySpreadConstraints", []):
            required = PRODUCTION in installation.values and one["topologyKey"] == "kubernetes.io/hostname"
            assert one["whenUnsatisfiable"] == ("DoNotSchedule" if required else "ScheduleAnyway"), workload


def test_only_pods_without_a_volume_leave_a_lost_node_and_they_do_so_soon(installation: Installation) -> None:
    for workload in installation.services:
        leaving = {
            one["key"]: one["tolerationSeconds"]
            for one in workload.pod.get("tolerations", [])
            if (one["operator"], one["effect"]) == ("Exists", "NoExecute")
        }
        after = dict.fromkeys(("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"), 30)
        assert leaving == (after if workload.kind == "Deployment" else {}), workload


def test_a_priority_class_reaches_the_pods_of_its_component_and_no_others() -> None:
    sets = {f"{name}.priorityClassName": f"{name}-class" for name in ("api", "actor-system", "nats", "postgres")}
    found = {
        workload.name: workload.pod.get("priorityClassName")
        for workload in Installation("ranked", (TESTING,), sets).services
    }
    own = {name: f"{name}-class" for name in ("api", "actor-system", "nats", "postgres")}
    assert found == own | {"ray-head": "actor-system-class"}
    plain = Installation("testing", (TESTING,)).workloads
    assert not any("priorityClassName" in workload.pod for workload in plain)


def test_an_autoscaler_adds_at_once_and_takes_one_pod_at_a_time_after_a_while(installation: Installation) -> None:
    for scaler in installation.of_kind("HorizontalPodAutoscaler"):
        up, down = scaler["spec"]["behavior"]["scaleUp"], scaler["spec"]["behavior"]["scaleDown"]
        assert up["stabilizationWindowSeconds"] == 0
        assert down == {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
        }
    patient = Installation("patient", (PRODUCTION,), {"api.autoscaling.scaleDownAfterS": 900})
    assert (
        patient.one("HorizontalPodAutoscaler", "api")["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
        == 900
    )


def test_replicated_parts_lose_one_pod_at_a_time_and_single_ones_block_no_node(installation: Installation) -> None:
    budgets = {
        tuple(budget["spec"].pop("selector")["matchLabels"].items()): budget["spec"]
        for budget in deepcopy(installation.of_kind("PodDisruptionBudget"))
    }

    def allowed(workload: Workload) -> dict[str, int]:
        """How many pods a custom resource should have, Kubernetes does not know: `maxUnavailable` would let none go."""
        replicas = workload.manifest["spec"]["replicas"]
        return {"minAvailable": replicas - 1} if workload.kind == "RayCluster" else {"maxUnavailable": 1}

    replicated = {
        tuple(workload.manifest["spec"]["selector"]["matchLabels"].items()): allowed(workload)
        for workload in installation.services
        if workload.manifest["spec"]["replicas"] > 1
    }
    assert budgets == replicated


@pytest.mark.parametrize("values", [TESTING, PRODUCTION], ids=lambda path: path.stem)
def test_an_update_brings_the_new_pod_before_it_takes_the_old_one(values: object) -> None:
    installation = Installation("updated", (values,))  # type: ignore[arg-type]
    for deployment in installation.of_kind("Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_there_are_never_two_databases_in_memory() -> None:
    deployment = Installation("development", (DEVELOPMENT,)).one("Deployment", "actor-system")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("drain_s", [DRAIN_S, 120])
def test_kubernetes_waits_longer_for_a_stop_than_the_stop_may_take(drain_s: int) -> None:
    installation = Installation("draining", (TESTING,), {"global.drainTimeoutS": drain_s})
    for name in ("api", "actor-system"):
        pod = installation.workload(name).pod
        pause = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= drain_s + pause + 10, name


def test_nats_leaves_by_way_of_lame_duck_mode() -> None:
    installation = Installation("testing", (TESTING,))
    nats = installation.container("nats")
    assert nats.spec["lifecycle"]["preStop"]["exec"]["command"] == ["nats-server", "--signal", "ldm=1"]
    config = installation.one("ConfigMap", "nats-config")["data"]["nats.conf"]
    assert "lame_duck_duration: 30s" in config
    assert installation.workload("nats").pod["terminationGracePeriodSeconds"] > 30


def test_nats_servers_start_together_because_one_alone_is_never_ready() -> None:
    assert Installation("testing", (TESTING,)).one("StatefulSet", "nats")["spec"]["podManagementPolicy"] == "Parallel"


def test_development_has_one_of_everything_and_no_autoscaler() -> None:
    installation = Installation("development", (DEVELOPMENT,))
    assert all(workload.manifest["spec"]["replicas"] == 1 for workload in installation.services)
    assert installation.of_kind("HorizontalPodAutoscaler") == []


def test_testing_holds_the_number_of_pods_that_tests_count_on() -> None:
    for scaler in Installation("testing", (TESTING,)).of_kind("HorizontalPodAutoscaler"):
        assert scaler["spec"]["minReplicas"] == scaler["spec"]["maxReplicas"]
