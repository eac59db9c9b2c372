"""Containers whose processes stand still, all at once, as under SIGSTOP: containerd has the kernel freeze them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.harness.nodes import on_node

CONTAINERD = "ctr --namespace k8s.io task"
FREEZE = f"{CONTAINERD} pause ID"
THAW = f"! {CONTAINERD} ls | grep -q '^ID .*PAUSED' || {CONTAINERD} resume ID"
"""Kubernetes may have ended the container meanwhile."""


@contextmanager
def frozen_pods(pods: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """All containers of these pods (as Kubernetes describes them) stand still; the pods are not told apart.

    Raises NotBreakableError where their nodes are no containers of this machine.
    """
    containers = [
        (pod["spec"]["nodeName"], one["containerID"].rpartition("/")[2])
        for pod in pods
        for one in pod["status"]["containerStatuses"]
    ]
    with ExitStack() as thawing:
        for node, container in containers:
            on_node(node, FREEZE.replace("ID", container))
            thawing.callback(on_node, node, THAW.replace("ID", container))
        yield
