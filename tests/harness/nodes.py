"""Nodes of a kind cluster, which are containers: they can stand still, stop, or be where nobody reaches them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from chart_harness.cluster import Kubernetes
from chart_harness.waiting import wait_until

import ci.cluster
from ci import engine
from ci.engine import Engine
from ci.errors import NoClusterError
from tests.harness.errors import NotBreakableError

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
NOTICED_WITHIN_S = 90.0
BACK_WITHIN_S = 60.0
PAUSED_WITHIN_S = 30.0
"""A node whose processes come and go too fast for the kernel is asked again."""
LINK = "eth0"
"""To everybody else."""
CUT = 10
"""Priority of the routing rules that cut a node off: after its own addresses, before all routes."""
JOIN = "\n".join(
    f"while {ip} rule | grep -q '^{CUT}:.* blackhole'; do {ip} rule del blackhole priority {CUT} || exit; done"
    for ip in ("ip", "ip -6")
)
"""A shell script that undoes all of them, as far as there are any."""


def breakable(cluster: Kubernetes) -> list[str]:
    """Names of the nodes that may be broken: all but the one with the Kubernetes API.

    Raises NotBreakableError where they are no containers of this machine.
    """
    names = [
        node["metadata"]["name"]
        for node in cluster.read("nodes")["items"]
        if CONTROL_PLANE not in node["metadata"]["labels"]
    ]
    containers = _containers()
    if others := [name for name in names if not containers.is_running(name)]:
        raise NotBreakableError(f"{others[0]} is no container of {containers.name}")
    return sorted(names)


def on_node(name: str, script: str) -> str:
    """What a shell script prints that runs on a node. Raises NotBreakableError where that is no container of here."""
    containers = _containers()
    if not containers.is_running(name):
        raise NotBreakableError(f"{name} is no container of {containers.name}")
    return containers.run("exec", "--interactive", name, "sh", "-s", stdin=script)


def revive(name: str) -> None:
    """Let a node go on that stands still, and start one that was stopped; one that runs is left alone."""
    containers = _containers()
    if (state := _state(containers, name)) != "running":
        containers.run("unpause" if state == "paused" else "start", name)


@contextmanager
def frozen(cluster: Kubernetes, name: str) -> Iterator[None]:
    """Everything on the node stands still, at least until Kubernetes has noticed it; connections to it stay open."""
    containers = _containers()
    try:
        wait_until(
            lambda: containers.works("pause", name) or _state(containers, name) == "paused",
            within_s=PAUSED_WITHIN_S,
            why=f"{name} does not stand still",
        )
        yield
        _wait_until_noticed(cluster, name)
    finally:
        revive(name)
    _wait_until_back(cluster, name)


@contextmanager
def stopped(cluster: Kubernetes, name: str) -> Iterator[None]:
    """The node's processes are killed, and all its memory is gone; it starts again once Kubernetes has noticed it.

    Raises NotBreakableError where the cluster is not the project's own.
    """
    if cluster.kubeconfig.resolve() != ci.cluster.kubeconfig().resolve():
        raise NotBreakableError(f"{name} is of another cluster: who started it again would not know its network")
    containers = _containers()
    try:
        containers.run("kill", name)
        yield
        _wait_until_noticed(cluster, name)
    finally:
        revive(name)
        ci.cluster.ensure()  # addresses and routes do not survive
    _wait_until_back(cluster, name)


@contextmanager
def cut_off(cluster: Kubernetes, name: str) -> Iterator[None]:
    """The node reaches no other one and no pod elsewhere; everything on it runs on, and believes what it believed."""
    beyond = list(_beyond(cluster, name))
    try:
        on_node(name, _rules(beyond))
        yield
        _wait_until_noticed(cluster, name)
    finally:
        on_node(name, JOIN)
    _wait_until_back(cluster, name)


def _containers() -> Engine:
    """What runs the nodes. Raises NotBreakableError where there is no such thing."""
    try:
        return engine.find()
    except NoClusterError as lacking:
        raise NotBreakableError(str(lacking)) from lacking


def _state(containers: Engine, name: str) -> str:
    return containers.run("inspect", "--format", "{{.State.Status}}", name).strip()


def _beyond(cluster: Kubernetes, name: str) -> Iterator[str]:
    """Addresses of the other nodes, by both protocols, and ranges of the pods there."""
    for node in cluster.read("nodes")["items"]:
        other = node["metadata"]["name"]
        if other != name:
            links = json.loads(on_node(other, f"ip -json address show dev {LINK} scope global"))
            found = (address for link in links for address in link["addr_info"])
            yield from (address["local"] for address in found if address)  # {} for one of another scope
            yield node["spec"]["podCIDR"]


def _rules(beyond: Iterable[str]) -> str:
    """A shell script that cuts off: IPv6 has rules of its own."""
    return "\n".join(
        f"ip {'-6 ' if ':' in one else ''}rule add to {one} blackhole priority {CUT} || exit" for one in beyond
    )


def _wait_until_noticed(cluster: Kubernetes, name: str) -> None:
    wait_until(lambda: not _is_ready(cluster, name), within_s=NOTICED_WITHIN_S, every_s=1, why=f"{name} is ready")


def _wait_until_back(cluster: Kubernetes, name: str) -> None:
    wait_until(lambda: _is_ready(cluster, name), within_s=BACK_WITHIN_S, every_s=1, why=f"{name} is not ready")


def _is_ready(cluster: Kubernetes, name: str) -> bool:
    conditions = cluster.read("node", name)["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
