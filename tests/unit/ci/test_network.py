"""The local pod network, as it is written onto a node."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from ci import network
from ci.network import Node

NODES = [
    Node("iot-control-plane", "10.89.0.2", "10.244.0.0/24"),
    Node("iot-worker", "10.89.0.3", "10.244.1.0/24"),
    Node("iot-worker2", "10.89.0.4", "10.244.2.0/24"),
]


def test_pods_get_addresses_of_their_own_node() -> None:
    configuration = json.loads(network.conflist(NODES[1]))
    interface, ports = configuration["plugins"]
    assert (interface["type"], ports["type"]) == ("ptp", "portmap")
    assert interface["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert interface["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}]


def test_a_node_masquerades_what_leaves_the_pod_network_and_leaves_the_rest_alone() -> None:
    rule = list(network.masquerading(NODES[1]))
    assert rule[: rule.index("--match")] == ["--source", "10.244.1.0/24", "!", "--destination", network.POD_SUBNET]
    assert rule[-1] == "MASQUERADE"
    pods = ipaddress.ip_network(network.POD_SUBNET)
    assert all(ipaddress.IPv4Network(node.pods).subnet_of(pods) for node in NODES)  # type: ignore[arg-type]


def test_the_address_of_a_service_is_never_looked_for_outside() -> None:
    rules = network.refusing()
    assert rules in network.script(NODES[0], NODES)
    for hook in ("output", "forward"):
        [rule] = re.findall(rf"hook {hook} priority (-?\d+); ip daddr (\S+) meta l4proto tcp reject", rules)
        assert rule[1] == network.SERVICE_SUBNET
        # After a Service's address was translated (-100), before iptables lets through what policies admit (0).
        assert -100 < int(rule[0]) < 0


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder of stand-ins for what the script calls, which note how they were called."""
    for name in ("ip", "iptables", "mkdir", "nft"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/calls\n[ "$3" != -C ] || [ -e {tmp_path}/there ]\n')
        path.chmod(0o755)
    return tmp_path


def run(node: Path, script: str) -> list[str]:
    """The calls that the script makes, its file aside."""
    calls = node / "calls"
    calls.unlink(missing_ok=True)
    script = script.replace(network.CONFLIST, str(node / "conflist"))
    path = f"{node}:{os.environ['PATH']}"
    subprocess.run(["sh", "-s"], input=script, text=True, env={"PATH": path}, check=True, timeout=10)
    return calls.read_text().splitlines()


def test_a_node_knows_the_way_to_the_pods_of_every_other(node: Path) -> None:
    routes = [call for call in run(node, network.script(NODES[0], NODES)) if call.startswith("ip ")]
    assert routes == [
        "ip route replace 10.244.1.0/24 via 10.89.0.3",
        "ip route replace 10.244.2.0/24 via 10.89.0.4",
    ]


def test_the_configuration_arrives_whole(node: Path) -> None:
    run(node, network.script(NODES[2], NODES))
    assert (node / "conflist").read_text() == network.conflist(NODES[2]) + "\n"


def test_applied_again_nothing_is_doubled(node: Path) -> None:
    first = run(node, network.script(NODES[0], NODES))
    (node / "there").touch()
    again = run(node, network.script(NODES[0], NODES))
    assert [call.split()[3] for call in first if call.startswith("iptables")] == ["-C", "-A"]
    assert [call.split()[3] for call in again if call.startswith("iptables")] == ["-C"]
    assert network.refusing().splitlines()[:2] == [f"table {network.TABLE}", f"delete table {network.TABLE}"]


def test_an_error_on_a_node_is_not_passed_over(node: Path) -> None:
    (node / "ip").write_text("#!/bin/sh\nexit 2\n")
    with pytest.raises(subprocess.CalledProcessError):
        run(node, network.script(NODES[0], NODES))
