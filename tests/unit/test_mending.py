"""What faults do to nodes is undone, by whom it may be, and in whatever state it was left."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
from chart_harness.errors import KubernetesError, NotFreezableError
from chart_harness.freezing import frozen_pods

from tests.harness.faults import links
from tests.harness.nodes import CUT, JOIN, LINK

PROGRAMS = ("unshare", "ip", "tc", "iptables", "ip6tables")
BEGIN = f"""
ip link add {LINK} type veth peer name other && ip link set {LINK} up || exit
ip rule add to 10.244.1.0/24 blackhole priority {CUT} || exit
ip rule add to 10.244.2.0/24 blackhole priority {CUT} || exit
ip -6 rule add to fd00::1 blackhole priority {CUT} || exit
{links.SLOW}
{links.LOSE}
{links.LOSE}
"""
SHOW = f"ip rule; ip -6 rule; tc qdisc show dev {LINK}; iptables -S; ip6tables -S"


def pod(node: str, container: str) -> dict[str, Any]:
    return {
        "spec": {"nodeName": node},
        "status": {"containerStatuses": [{"containerID": f"containerd://{container}"}]},
    }


def in_a_network_of_its_own(script: str) -> str:
    """What a shell script prints; skips where this user may make none."""
    command = ("unshare", "--net", "sh", "-s")
    if not all(map(shutil.which, PROGRAMS)) or subprocess.run([*command], input=b"", check=False).returncode:
        pytest.skip("networks cannot be made here")
    return subprocess.run(command, input=script, capture_output=True, text=True, check=True, timeout=60).stdout


def test_all_that_is_done_to_the_links_of_a_node_is_undone_and_once_more_does_no_harm() -> None:
    undo = "\n".join(f"({script}) || exit" for script in (JOIN, *links.MENDING))
    said = in_a_network_of_its_own(f"{BEGIN}\n{SHOW}\necho undone\n{undo}\n{undo}\n{SHOW}")
    before, after = said.split("undone\n")
    for trace in ("blackhole", "qdisc tbf", "statistic"):
        assert trace in before
        assert trace not in after


def test_what_was_frozen_goes_on_when_the_next_one_cannot_be_frozen() -> None:
    scripts: list[str] = []

    def on_node(_: str, script: str) -> str:
        scripts.append(script)
        if "pause second" in script:
            raise KubernetesError("it was paused, and then the connection broke")
        return ""

    with (
        pytest.raises(KubernetesError, match="the connection broke"),
        frozen_pods([pod("a", "first"), pod("a", "second")], on_node),
    ):
        pytest.fail("it counts as frozen")
    assert [one.rpartition("resume ")[2] for one in scripts if "resume" in one] == ["second", "first"]


def test_nothing_is_frozen_where_one_of_the_nodes_cannot_be_reached() -> None:
    def on_node(name: str, script: str) -> str:
        if name == "b":
            raise NotFreezableError(name)
        assert "pause" not in script
        return ""

    with pytest.raises(NotFreezableError), frozen_pods([pod("a", "first"), pod("b", "second")], on_node):
        pytest.fail("it counts as frozen")


def test_sidecars_are_frozen_too_and_what_has_ended_is_not() -> None:
    scripts: list[str] = []

    def on_node(_: str, script: str) -> str:
        scripts.append(script)
        return ""

    with_sidecar = pod("a", "main")
    with_sidecar["status"]["initContainerStatuses"] = [
        {"containerID": "containerd://sidecar", "state": {"running": {}}},
        {"containerID": "containerd://ended", "state": {"terminated": {}}},
    ]
    with frozen_pods([with_sidecar], on_node):
        paused = re.findall("pause ([a-z]+)", "".join(scripts))
    assert paused == ["sidecar", "main"]
