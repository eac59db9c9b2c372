"""What the harness makes of what kubectl answers; a small program stands for kubectl."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chart_harness import diagnostics
from chart_harness.cluster import Kubernetes, Namespace
from chart_harness.installation import Installation

PROGRAM = """#!/bin/sh
folder="$(dirname "$0")"
echo "$*" >> "$folder/asked"
[ ! -e "$folder/busy" ] || { rm "$folder/busy"; echo "the server is busy" >&2; exit 1; }
case "$*" in
  *" deployments"*" --output=json") cat "$folder/all.json";;
  *" pods --output=json") cat "$folder/pods.json";;
  *) echo "told: $*";;
esac
"""
Manifest = dict[str, Any]


class Kubectl:
    """Answers with ``workloads`` and ``pods``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        program = folder / "kubectl"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        self.namespace = Namespace(Kubernetes(folder / "kubeconfig", str(program), str(program)), "here")

    def has(self, *workloads: Manifest, pods: list[Manifest]) -> Namespace:
        """The namespace, with these in it."""
        (self._folder / "pods.json").write_text(json.dumps({"items": pods}))
        (self._folder / "all.json").write_text(json.dumps({"items": [*workloads, *pods]}))
        return self.namespace

    def is_busy_once(self) -> None:
        """The next question gets an error."""
        (self._folder / "busy").touch()

    @property
    def asked(self) -> list[str]:
        """All command lines."""
        return (self._folder / "asked").read_text().splitlines()


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    return Kubectl(tmp_path)


def pod(name: str, *, labels: dict[str, str] | None = None, is_ready: bool = True) -> Manifest:
    conditions = [{"type": "Ready", "status": str(is_ready)}]
    metadata: Manifest = {"name": name, "uid": f"uid-{name}", **({"labels": labels} if labels else {})}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": {"conditions": conditions}}


def workload(kind: str, spec: Manifest, status: Manifest) -> Manifest:
    spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    return {
        "kind": kind,
        "metadata": {"name": "web", "generation": 2},
        "spec": spec,
        "status": {"observedGeneration": 2, **status},
    }


def test_a_pod_without_labels_belongs_to_no_workload(kubectl: Kubectl) -> None:
    web = workload("Deployment", {"replicas": 1}, {"updatedReplicas": 1})
    assert kubectl.has(web, pods=[pod("stranger")]).not_ready() == ["web has 0 of 1 pods ready, 0 in all"]
    assert kubectl.has(web, pods=[pod("stranger"), pod("web-0", labels={"app": "web"})]).not_ready() == []


def test_a_workload_that_wants_no_pods_is_ready_once_it_has_none(kubectl: Kubectl) -> None:
    none = workload("StatefulSet", {"replicas": 0}, {})
    assert kubectl.has(none, pods=[]).not_ready() == []
    left = [pod("web-0", labels={"app": "web"}, is_ready=False)]
    assert kubectl.has(none, pods=left).not_ready() == ["web has 0 of 0 pods ready, 1 in all"]


@pytest.mark.parametrize(
    ("status", "ready", "missing"),
    [
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2}, 2, []),
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 2}, 1, ["web has 1 of 2 pods ready, 2 in all"]),
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 1}, 2, ["web has 2 of 2 pods ready, 2 in all"]),
        ({"desiredNumberScheduled": 3, "updatedNumberScheduled": 2}, 2, ["web has 2 of 3 pods ready, 2 in all"]),
    ],
)
def test_a_daemon_set_is_ready_when_each_node_that_it_wants_has_a_pod_of_today(
    kubectl: Kubectl, status: Manifest, ready: int, missing: list[str]
) -> None:
    pods = [pod(f"web-{number}", labels={"app": "web"}, is_ready=number < ready) for number in range(2)]
    assert kubectl.has(workload("DaemonSet", {}, status), pods=pods).not_ready() == missing


def test_who_is_not_ready_is_told_with_what_keeps_it_back(kubectl: Kubectl) -> None:
    silent, without, done = (pod(name, is_ready=False) for name in ("silent", "without", "done"))
    silent["status"]["containerStatuses"] = [{"name": "web", "ready": False, "state": {"running": {}}}]
    waiting = {"reason": "ImagePullBackOff", "message": "there is none"}
    without["status"]["containerStatuses"] = [
        {"name": "web", "ready": False, "state": {"waiting": waiting}},
        {"name": "other", "ready": True, "state": {"running": {}}},
    ]
    done["status"] |= {"phase": "Succeeded", "containerStatuses": [{"name": "web", "ready": False, "state": {}}]}
    assert kubectl.has(pods=[silent, without, done, pod("serves")]).complaints() == [
        "silent, container web: told: --kubeconfig " + f"{kubectl.namespace.cluster.kubeconfig} --namespace here "
        "logs silent --container=web --tail=1",
        "without, container web: ImagePullBackOff: there is none",
    ]
    kubectl.is_busy_once()
    assert kubectl.namespace.complaints() == ["the server is busy"]


def test_a_question_that_fails_once_does_not_end_the_wait(kubectl: Kubectl) -> None:
    namespace = kubectl.has(pods=[])
    kubectl.is_busy_once()
    namespace.wait_until_ready(within_s=60)
    assert len(kubectl.asked) == 3


def test_a_wait_that_is_too_long_says_what_the_cluster_said_last(kubectl: Kubectl) -> None:
    namespace = kubectl.has(pods=[])
    kubectl.is_busy_once()
    with pytest.raises(AssertionError, match="the server is busy"):
        namespace.wait_until_ready(within_s=-1)


@pytest.mark.parametrize(
    ("volumes", "how"),
    [
        ({}, "--grace-period=0 --force"),
        ({"volumes": [{"emptyDir": {}}]}, "--grace-period=0 --force"),
        ({"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}, "--grace-period=1"),
    ],
)
def test_a_pod_with_a_claim_gets_a_second_for_its_end_and_others_none(
    kubectl: Kubectl, volumes: Manifest, how: str
) -> None:
    struck = pod("web-0")
    struck["spec"] |= volumes
    kubectl.has(pods=[struck, pod("other")]).kill("web-0")
    (deleted,) = [line for line in kubectl.asked if " delete " in line]
    assert deleted.endswith(f"delete pod web-0 {how} --wait=false")


def test_every_container_has_a_log_of_its_own_and_one_of_before_where_it_was_restarted(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    told = pod("web-0")
    told["spec"] = {"initContainers": [{"name": "init"}], "containers": [{"name": "web"}, {"name": "beside"}]}
    told["status"] |= {
        "initContainerStatuses": [{"name": "init", "restartCount": 0}],
        "containerStatuses": [{"name": "web", "restartCount": 0}, {"name": "beside", "restartCount": 2}],
    }
    diagnostics.collect(kubectl.has(pods=[told]), "release", tmp_path / "told")
    logs = {path.name: path.read_text() for path in (tmp_path / "told" / "logs").iterdir()}
    assert logs.keys() == {f"web-0.{one}.log" for one in ("init", "web", "beside", "beside.previous")}
    assert all(f"--container {name.split('.')[1]} " in text for name, text in logs.items())
    assert [name for name, text in logs.items() if "--previous" in text] == ["web-0.beside.previous.log"]


def test_diagnostics_that_cannot_be_written_say_so(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "told" / "pods.txt").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        diagnostics.collect(kubectl.has(pods=[]), "release", tmp_path / "told")
    assert (tmp_path / "told" / "hooks.yaml").exists()


@pytest.mark.parametrize("name", ["My_values.prod", "-", "x" * 300, "default-values"])
def test_a_values_file_of_any_name_has_a_namespace(tmp_path: Path, name: str) -> None:
    values = tmp_path / f"{name[:200]}.yaml"
    values.touch()
    cluster = Kubernetes(tmp_path / "kubeconfig", "kubectl", "helm")
    namespace = Installation(cluster, values, chart=tmp_path).namespace.name
    assert re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace)
