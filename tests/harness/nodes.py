"""Nodes of a kind cluster, which are containers: they can stand still, as one does that nobody reaches any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ci import engine
from ci.errors import NoClusterError
from tests.harness.cluster import Kubernetes
from tests.harness.waiting import wait_until

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
NOTICED_WITHIN_S = 90.0
BACK_WITHIN_S = 60.0


class NotFreezableError(Exception):
    """Why no node can be frozen."""


def freezable(cluster: Kubernetes) -> list[str]:
    """Names of the nodes that may be frozen: all but the one with the Kubernetes API.

    Raises NotFreezableError where they are no containers of this machine.
    """
    names = [
        node["metadata"]["name"]
        for node in cluster.read("nodes")["items"]
        if CONTROL_PLANE not in node["metadata"]["labels"]
    ]
    try:
        containers = engine.find()
    except NoClusterError as lacking:
        raise NotFreezableError(str(lacking)) from lacking
    if others := [name for name in names if not containers.is_running(name)]:
        raise NotFreezableError(f"{others[0]} is no container of {containers.name}")
    return sorted(names)


@contextmanager
def frozen(cluster: Kubernetes, name: str) -> Iterator[None]:
    """Everything on the node stands still, at least until Kubernetes has noticed it; connections to it stay open."""
    containers = engine.find()
    containers.run("pause", name)
    try:
        yield
        wait_until(lambda: not _is_ready(cluster, name), within_s=NOTICED_WITHIN_S, every_s=1, why=f"{name} is ready")
    finally:
        containers.run("unpause", name)
    wait_until(lambda: _is_ready(cluster, name), within_s=BACK_WITHIN_S, every_s=1, why=f"{name} is not ready")


def _is_ready(cluster: Kubernetes, name: str) -> bool:
    conditions = cluster.read("node", name)["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
