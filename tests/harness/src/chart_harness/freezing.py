"""Containers whose processes stand still, all at once, as under SIGSTOP: containerd has the kernel freeze them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from chart_harness.errors import KubernetesError, NotFreezableError

OnNode = Callable[[str, str], str]
"""Runs a shell script on the node of this name; what that prints."""
ENGINES = ("docker", "podman")
ANSWER_S = 60
CONTAINERD = "ctr --namespace k8s.io task"
FREEZE = f"for attempt in 1 2 3 4 5; do {CONTAINERD} pause ID && exit; done; exit 1"
"""On a busy machine runc gives up, and lets go again, before the kernel has stopped all of them."""
THAW = f"! {CONTAINERD} ls | grep -q '^ID .*PAUSED' || {CONTAINERD} resume ID"
"""Kubernetes may have ended the container meanwhile."""
THAW_ALL = f"""
{CONTAINERD} ls | while read -r id process state; do
    [ "$state" != PAUSED ] || {CONTAINERD} resume "$id" || exit
done
"""
"""What a run that was killed has left on a node."""


def on_node(name: str, script: str) -> str:
    """As `OnNode`, where nodes are containers of Docker or Podman, as kind's are.

    Raises NotFreezableError where they are not, KubernetesError where the script fails.
    """
    for engine in filter(shutil.which, ENGINES):
        command = [engine, "exec", "--interactive", name, "sh", "-s"]
        if _run([engine, "exec", name, "true"]).returncode == 0:
            done = _run(command, script)
            if done.returncode:
                raise KubernetesError(f"on the node {name}: {done.stderr.strip()}")
            return done.stdout
    raise NotFreezableError(f"the node {name} is no container of {' or '.join(ENGINES)} on this machine")


@contextmanager
def frozen_pods(pods: Iterable[Mapping[str, Any]], on_node: OnNode = on_node) -> Iterator[None]:
    """All containers of these pods (as Kubernetes describes them) stand still; the pods are not told apart.

    Raises as ``on_node``, where nodes are no containers of this machine.
    """
    containers = [
        (pod["spec"]["nodeName"], one["containerID"].rpartition("/")[2])
        for pod in pods
        for kind in ("initContainerStatuses", "containerStatuses")
        for one in pod["status"].get(kind, [])
        if one.get("containerID") and "terminated" not in one.get("state", {})
    ]
    for node in {node for node, _ in containers}:
        on_node(node, "true")  # it raises before anything stands still
    with ExitStack() as thawing:
        for node, container in containers:
            thawing.callback(on_node, node, THAW.replace("ID", container))
            on_node(node, FREEZE.replace("ID", container))
        yield


def _run(command: list[str], script: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=script, capture_output=True, text=True, timeout=ANSWER_S, check=False)
