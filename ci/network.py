"""The pod network of a local cluster: a range of addresses per node, static routes between nodes, masquerade outwards.

One component runs, on each node: the one that enforces NetworkPolicies. Routes and masquerading do not survive a node's
restart: `apply` writes them again, any number of times. A stock cluster has kind's own network, which needs nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci import engine, kubectl
from ci.progress import step

POD_SUBNET = "10.244.0.0/16"
SERVICE_SUBNET = "10.96.0.0/16"
CONFLIST = "/etc/cni/net.d/10-iot-system.conflist"
# On a tmpfs of the node: addresses are free again after its restart, as its pods are gone.
LEASES = "/run/cni-ipam-state"
COMMENT = "iot-system: pods to the outside"
TABLE = "ip iot-system"
POLICIES = Path(__file__).with_name("network-policies.yaml")
ENFORCER = ("kube-system", "daemonset/network-policies")
"""Namespace and name of what POLICIES runs."""
REFUSING_HOOKS = ("output", "forward")
"""What node processes send, and what pods send; both see it after the translation of Services."""


@dataclass(frozen=True)
class Node:
    """A node: its name, its own address, and the range of its pods' addresses."""

    name: str
    address: str
    pods: str


def apply(kubeconfig: Path) -> None:
    """Write it onto every running node of a local cluster; also after one has come back with another address."""
    containers = engine.find()
    with step("pod network: addresses, routes, masquerade, policies"):
        ranges = {item["metadata"]["name"]: item["spec"]["podCIDR"] for item in kubectl.items(kubeconfig, "nodes")}
        addresses = {name: containers.address(name) for name in ranges}
        nodes = [Node(name, address, ranges[name]) for name, address in addresses.items() if address]
        for node in nodes:
            containers.run("exec", "--interactive", node.name, "sh", "-s", stdin=script(node, nodes))
        kubectl.call(kubeconfig, "apply", "--filename", POLICIES)


def script(node: Node, nodes: Sequence[Node]) -> str:
    """The shell script that gives one node its part; it may run again."""
    lines = [
        "set -e",
        f"mkdir -p {CONFLIST.rpartition('/')[0]}",
        f"cat > {CONFLIST} <<'END'\n{conflist(node)}\nEND",
        *(f"ip route replace {other.pods} via {other.address}" for other in nodes if other.name != node.name),
        rule_once("nat", "POSTROUTING", masquerading(node)),
        f"nft -f - <<'END'\n{refusing()}END",
    ]
    return "\n".join(lines) + "\n"


def rule_once(table: str, chain: str, rule: Sequence[str]) -> str:
    """The command that appends a rule where it is not there yet."""
    words = " ".join(map(shlex.quote, (chain, *rule)))
    return f"iptables -t {table} -C {words} 2> /dev/null || iptables -t {table} -A {words}"


def refusing() -> str:
    """The rules that keep the addresses of Services inside, as nft reads them.

    A Service whose address the node does not translate yet would else be looked for outside, where a gateway may
    answer in its place, for as long as that connection lives. They are a table of their own, before that of iptables:
    what a NetworkPolicy admits passes no later rule there.
    """
    rule = f"ip daddr {SERVICE_SUBNET} meta l4proto tcp reject with tcp reset"
    chains = [f"  chain {hook} {{ type filter hook {hook} priority -1; {rule}; }}" for hook in REFUSING_HOOKS]
    # The first two lines make it new, whether it is there or not.
    return "\n".join([f"table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{", *chains, "}", ""])


def masquerading(node: Node) -> tuple[str, ...]:
    """The rule by which what leaves the pod network carries the node's address."""
    way_out = ("--source", node.pods, "!", "--destination", POD_SUBNET)
    return (*way_out, "--match", "comment", "--comment", COMMENT, "--jump", "MASQUERADE")


def conflist(node: Node) -> str:
    """The node's CNI configuration: a veth pair per pod, an address of the node's range, host ports."""
    addresses = {
        "type": "host-local",
        "dataDir": LEASES,
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": node.pods}]],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "0.4.0", "name": "iot-system", "plugins": plugins}, indent=1)
