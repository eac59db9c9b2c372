"""Containers whose processes stand still, all at once, as under SIGSTOP: the kernel's freezer of control groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.harness.nodes import on_node

FREEZE = """
set -e
process=$(crictl inspect --output go-template --template '{{.info.pid}}' ID)
if path=$(grep ':freezer:' /proc/$process/cgroup); then
    switch=/sys/fs/cgroup/freezer${path#*:*:}/freezer.state
    echo FROZEN > $switch
else
    switch=/sys/fs/cgroup$(cut -d: -f3 /proc/$process/cgroup)/cgroup.freeze
    echo 1 > $switch
fi
echo $switch
"""
"""The first is how version 1 of control groups does it."""
THAW = """
case SWITCH in *.state) run=THAWED ;; *) run=0 ;; esac
[ ! -e SWITCH ] || echo $run > SWITCH
"""
"""Kubernetes may have ended the container meanwhile, and its group with it."""


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
            switch = on_node(node, FREEZE.replace("ID", container)).strip()
            thawing.callback(on_node, node, THAW.replace("SWITCH", switch))
        yield
