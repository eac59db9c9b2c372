"""Containers whose processes stand still, all at once, as under SIGSTOP: the kernel's freezer of control groups."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from chart_harness.errors import NotFreezableError

OnNode = Callable[[str, str], str]
"""Runs a shell script on the node of this name; what that prints."""
ENGINES = ("docker", "podman")
ANSWER_S = 60
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


def on_node(name: str, script: str) -> str:
    """As `OnNode`, where nodes are containers of Docker or Podman, as kind's are. Raises NotFreezableError."""
    for engine in filter(shutil.which, ENGINES):
        command = [engine, "exec", "--interactive", name, "sh", "-s"]
        if _run([engine, "exec", name, "true"]).returncode == 0:
            done = _run(command, script)
            if done.returncode:
                raise NotFreezableError(f"on the node {name}: {done.stderr.strip()}")
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
        for one in pod["status"]["containerStatuses"]
    ]
    with ExitStack() as thawing:
        for node, container in containers:
            switch = on_node(node, FREEZE.replace("ID", container)).strip()
            thawing.callback(on_node, node, THAW.replace("SWITCH", switch))
        yield


def _run(command: list[str], script: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=script, capture_output=True, text=True, timeout=ANSWER_S, check=False)
