"""Nodes that are lost, in three ways."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager

from chart_harness.cluster import Kubernetes

from tests.harness.errors import NoSuchPartError
from tests.harness.faults.scene import Scene, Strike
from tests.harness.nodes import breakable


def lost(how: Callable[[Kubernetes, str], AbstractContextManager[None]]) -> Strike:
    """One of the nodes without the Kubernetes API, until that has noticed it and the system works without it."""

    @contextmanager
    def strike(scene: Scene) -> Iterator[Collection[str]]:
        cluster = scene.namespace.cluster
        nodes = breakable(cluster)
        if len(nodes) < 2:
            raise NoSuchPartError("the cluster has not two nodes beside its control plane")
        node = scene.random.choice(nodes)
        heads = [pod for pod in scene.namespace.pods("ray-head") if pod["spec"]["nodeName"] == node]
        with how(cluster, node):
            scene.note(f"{node} is {how.__name__.replace('_', ' ')}{', with the head of Ray' if heads else ''}")
            yield ()

    return strike
