"""The Kubernetes cluster of the tests: three nodes in three zones, made by kind. One of them is the control plane, too.

Two ways lead to it. `stock` takes kind's published node image, whose network enforces NetworkPolicies; `local` takes
the node image that ci/node_image.py makes, for machines that reach package registries only. IOT_CLUSTER=stock or local
chooses; else the first is taken where its image can be had.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ci import engine, folders, kubectl, lock, machine, network, node_image, stamp, tools
from ci.command import CommandError, run
from ci.engine import Engine
from ci.errors import CiError
from ci.progress import note, step

NAME = "iot"
ZONE = "topology.kubernetes.io/zone"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
Mode = Literal["stock", "local"]
CHOICE = "IOT_CLUSTER"
METRICS_SERVER = Path(__file__).with_name("metrics-server.yaml")
API_S = 120
NODES_S = 120
PODS_S = 180
SYSTEM = (
    ("kube-system", "deployment/coredns"),
    ("local-path-storage", "deployment/local-path-provisioner"),
    ("kube-system", "deployment/metrics-server"),
)
"""Namespace and name of what every cluster has."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers. `provider` is the container engine that its nodes run in: docker or podman."""

    name: str
    kubeconfig: Path
    provider: str
    mode: Mode


def ensure() -> Cluster:
    """The cluster, made or completed where it must be: its nodes, names, volumes and metrics are ready.

    One that was made from another recipe, or that cannot be started again, is replaced. Raises NoClusterError where
    this machine can have none.
    """
    containers = engine.find()
    mode = choose(containers)
    machine.prepare()
    cluster = Cluster(NAME, kubeconfig(), containers.name, mode)
    image = lock.read().stock_node_image if mode == "stock" else node_image.ensure(containers)
    recipe = stamp.of(json.dumps(configuration(mode)), image, containers.stamp(image))
    if not (_is_as(recipe, containers) and _runs(containers)):
        delete()
        _create(cluster, image, recipe, containers)
    else:
        # It may have been made anew since, for another user or cache of this machine.
        _kind(containers, "export", "kubeconfig", "--name", NAME, "--kubeconfig", str(kubeconfig()))
    kubectl.wait_for_api(cluster.kubeconfig, API_S)
    if cluster.mode == "local":
        network.apply(cluster.kubeconfig)
    _wait(cluster)
    return cluster


def delete() -> None:
    """Remove the cluster, if there is one."""
    containers = engine.find()
    if NAME in _kind(containers, "get", "clusters").split():
        with step(f"delete cluster {NAME}"):
            _kind(containers, "delete", "cluster", "--name", NAME, "--kubeconfig", str(kubeconfig()))
    (_folder() / "recipe").unlink(missing_ok=True)


def nodes() -> list[str]:
    """Names of its nodes, the control plane first; none where there is no cluster."""
    return _nodes(engine.find())


def kubeconfig() -> Path:
    """Where the cluster's kubeconfig is, once there is one."""
    return _folder() / "kubeconfig"


def choose(containers: Engine) -> Mode:
    """The way to the node image: as IOT_CLUSTER says, else stock where its image is here or a registry has it."""
    wish = os.environ.get(CHOICE, "auto")
    if wish in get_args(Mode):
        return wish  # type: ignore[return-value]
    if wish != "auto":
        raise CiError(f"{CHOICE} is {wish!r}: it may be stock, local or auto")
    image = lock.read().stock_node_image
    return "stock" if containers.has(image) or containers.can_pull(image) else "local"


def configuration(mode: Mode) -> dict[str, Any]:
    """What kind is told."""
    roles = {"a": "control-plane", "b": "worker", "c": "worker"}
    nodes = [{"role": role, "labels": {ZONE: zone}} for zone, role in roles.items()]
    common = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": NAME, "nodes": nodes}
    if mode == "stock":
        return common
    return {
        **common,
        # Without CAP_SYS_RESOURCE the kubelet may not lower its out-of-memory score: this lets it go on.
        "featureGates": {"KubeletInUserNamespace": True},
        "networking": {
            "disableDefaultCNI": True,
            "podSubnet": network.POD_SUBNET,
            "serviceSubnet": network.SERVICE_SUBNET,
        },
    }


def _create(cluster: Cluster, image: str, recipe: str, containers: Engine) -> None:
    cluster.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    config = cluster.kubeconfig.with_name("kind.json")
    config.write_text(json.dumps(configuration(cluster.mode), indent=1))
    command = (
        *(tools.path("kind"), "create", "cluster", "--config", config, "--image", image),
        *("--kubeconfig", cluster.kubeconfig),
    )
    with step(f"create cluster {NAME} ({cluster.mode}, {containers.name})") as current:
        run(*command, env=containers.env, step=current)
    # Pods run on all nodes: a majority of three in two zones would be lost with one of them.
    kubectl.call(cluster.kubeconfig, "taint", "nodes", f"--selector={CONTROL_PLANE}", f"{CONTROL_PLANE}-")
    machine.prepare()  # kind's network may have brought the bridge's settings with it
    (_folder() / "recipe").write_text(recipe)


def _is_as(recipe: str, containers: Engine) -> bool:
    """Whether a cluster is there, made from this recipe."""
    if NAME not in _kind(containers, "get", "clusters").split():
        return False
    made_from = _folder() / "recipe"
    if made_from.exists() and made_from.read_text() == recipe:
        return True
    note(f"cluster {NAME} was made from another recipe, or not completely")
    return False


def _runs(containers: Engine) -> bool:
    """Whether all nodes run, after those that did not were started, as after a restart of this machine."""
    stopped = [node for node in _nodes(containers) if not containers.is_running(node)]
    if stopped:
        try:
            with step(f"start {', '.join(stopped)}"):
                containers.run("restart", *stopped)  # the engine may believe that they run
        except CommandError as error:
            note(f"the nodes of cluster {NAME} cannot be started again: {error}")
            return False
    return True


def _wait(cluster: Cluster) -> None:
    """Wait for the nodes and the system's pods; raises CommandError when one is late."""
    with step("nodes ready"):
        kubectl.call(cluster.kubeconfig, "wait", "--for=condition=Ready", "node", "--all", f"--timeout={NODES_S}s")
    with step("names, volumes, metrics and policies ready"):
        kubectl.call(cluster.kubeconfig, "apply", "--filename", METRICS_SERVER)
        for namespace, name in (*SYSTEM, *([network.ENFORCER] if cluster.mode == "local" else [])):
            rollout = ("--namespace", namespace, "rollout", "status", name, f"--timeout={PODS_S}s")
            kubectl.call(cluster.kubeconfig, *rollout)
        metrics = ("wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", f"--timeout={PODS_S}s")
        kubectl.call(cluster.kubeconfig, *metrics)


def _nodes(containers: Engine) -> list[str]:
    return sorted(_kind(containers, "get", "nodes", "--name", NAME).split(), key=lambda node: "worker" in node)


def _kind(containers: Engine, *arguments: str) -> str:
    return run(tools.path("kind"), *arguments, env=containers.env)


def _folder() -> Path:
    return folders.cache() / "cluster" / NAME
