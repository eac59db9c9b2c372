"""The pods of Ray as a RayCluster, which KubeRay's operator keeps."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ci import schemas
from tests.harness import helm
from tests.render.rendered import KUBERAY, TESTING, Installation
from tests.render.test_kubernetes_schemas import kubeconform

MOST_NAME = 53
"""What the operator takes as the name of a RayCluster, at most."""


@pytest.fixture(scope="module")
def kuberay() -> Installation:
    return Installation("kuberay", (TESTING,), KUBERAY)


@pytest.fixture(scope="module")
def separate() -> Installation:
    return Installation("testing", (TESTING,))


def without(template: dict[str, Any], *variables: str) -> dict[str, Any]:
    """A pod's template without what depends on the workload that makes it: some variables, claim, revision."""
    changed = deepcopy(template)
    spec = changed["spec"]
    spec.pop("tolerations", None)
    for one in spec.get("topologySpreadConstraints", []):
        one.pop("matchLabelKeys", None)
    spec["volumes"] = [one for one in spec["volumes"] if "persistentVolumeClaim" not in one]
    [container] = spec["containers"]
    container["env"] = [one for one in container["env"] if one["name"] not in variables]
    return changed


@pytest.mark.parametrize("name", ["actor-system", "ray-head"])
def test_the_operator_makes_the_pods_that_the_chart_makes_without_it(
    separate: Installation, kuberay: Installation, name: str
) -> None:
    own, theirs = separate.workload(name), kuberay.workload(name)
    assert theirs.kind == "RayCluster"
    assert theirs.manifest["spec"]["replicas"] == own.manifest["spec"]["replicas"]
    added = theirs.containers[0].env.keys() - own.containers[0].env.keys()
    assert added == {"RAY_ADDRESS", "BASH_FUNC_ray%%"}
    assert without(theirs.template, *added) == without(own.template)


def test_everything_else_is_as_without_it_but_the_autoscaler_and_the_heads_claim(
    separate: Installation, kuberay: Installation
) -> None:
    def objects(installation: Installation) -> dict[tuple[str, str], Any]:
        return {(one["kind"], one["metadata"]["name"]): one for one in installation.manifests}

    before, after = objects(separate), objects(kuberay)
    pods = {("Deployment", "actor-system"), ("StatefulSet", "ray-head")}
    assert before.keys() - after.keys() == pods | {("HorizontalPodAutoscaler", "actor-system")}
    assert after.keys() - before.keys() == {("RayCluster", "actor-system"), ("PersistentVolumeClaim", "ray-head")}
    assert [key for key in before.keys() & after.keys() if before[key] != after[key]] == [
        ("PodDisruptionBudget", "actor-system")
    ]


def test_the_operator_leaves_the_command_of_the_pods_alone(kuberay: Installation) -> None:
    cluster = kuberay.one("RayCluster", "actor-system")
    assert cluster["metadata"]["annotations"] == {"ray.io/overwrite-container-cmd": "true"}
    for name in ("actor-system", "ray-head"):
        [container] = kuberay.workload(name).containers
        assert (container.spec.get("command"), container.spec["args"]) == (None, [name])


def test_the_number_of_pods_is_fixed(kuberay: Installation) -> None:
    [workers] = kuberay.one("RayCluster", "actor-system")["spec"]["workerGroupSpecs"]
    assert workers["minReplicas"] == workers["replicas"] == workers["maxReplicas"] == 3


def test_the_heads_state_lies_on_a_claim_of_the_size_that_the_values_say() -> None:
    sets = {**KUBERAY, "actor-system.ray.head.storage": "3Gi", "global.storageClass": "fast"}
    installation = Installation("sized", (TESTING,), sets)
    claim = installation.one("PersistentVolumeClaim", "ray-head")["spec"]
    assert (claim["resources"]["requests"]["storage"], claim["storageClassName"]) == ("3Gi", "fast")
    head = installation.workload("ray-head")
    assert head.volumes["storage"]["persistentVolumeClaim"] == {"claimName": "ray-head"}


def test_the_longest_prefix_makes_a_name_that_the_operator_takes() -> None:
    sets = {**KUBERAY, "global.namePrefix": f"{'a' * 19}-"}
    [cluster] = Installation("prefixed", (TESTING,), sets).of_kind("RayCluster")
    assert len(cluster["metadata"]["name"]) <= MOST_NAME


def test_fractions_of_cpus_are_texts_because_a_custom_resource_takes_no_other() -> None:
    cpu = {"requests": {"cpu": 0.5, "memory": "512Mi"}, "limits": {"cpu": 1.5, "memory": "1Gi"}}
    sets = {**KUBERAY, "actor-system.resources": cpu, "actor-system.ray.head.resources": cpu}
    run = kubeconform(helm.render_text(TESTING, sets=sets), helm.KUBERNETES, schemas.location())
    assert run.returncode == 0, run.stdout


def test_a_broken_ray_cluster_is_found() -> None:
    rendered = helm.render_text(TESTING, sets=KUBERAY)
    run = kubeconform(rendered.replace("minReplicas: 3", "leastReplicas: 3"), helm.KUBERNETES, schemas.location())
    assert run.returncode == 1
    assert "additional properties 'leastReplicas' not allowed" in run.stdout
