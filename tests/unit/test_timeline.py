"""When what happened: what is written down of pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chart_harness.cluster import Kubernetes, Namespace
from chart_harness.waiting import wait_until

from tests.harness.timeline import Pods, state_of

WATCH = """#!/bin/sh
cd "$(dirname "$0")" || exit
if [ -e ended ]; then cat second; touch told; exec tail -f /dev/null; fi
touch ended
cat first
"""
"""In the place of kubectl: an API server that ends a watch when it is told to is not to be had."""


def pod(phase: str = "Running", *, ready: bool = False, ending: bool = False, role: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": {"iot-system/database-role": role} if role else {}}
    if ending:
        metadata["deletionTimestamp"] = "2026-11-26T00:00:00Z"
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": conditions}}


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (pod("Pending"), "pending"),
        (pod(), "running"),
        (pod(ready=True), "ready"),
        (pod(ready=True, ending=True), "ending"),
        (pod(ready=True, role="primary"), "ready, primary"),
        ({"metadata": {}, "status": {}}, "unknown"),
    ],
)
def test_a_pod_is_told_by_how_far_it_has_come_and_by_its_role(found: dict[str, Any], state: str) -> None:
    assert state_of(found) == state


def events(*told: tuple[str, dict[str, Any]]) -> str:
    return "".join(json.dumps({"type": kind, "object": found}) + "\n" for kind, found in told)


def named(name: str, *, ready: bool = False) -> dict[str, Any]:
    made = pod(ready=ready)
    return made | {"metadata": made["metadata"] | {"name": name, "uid": f"uid of {name}"}}


@pytest.mark.parametrize("end", [events(("ERROR", {"kind": "Status", "code": 410})), "", '{"type": "ADDED", "obj'])
def test_a_watch_that_the_api_server_ends_is_followed_by_another_one(tmp_path: Path, end: str) -> None:
    program = tmp_path / "kubectl"
    program.write_text(WATCH)
    program.chmod(0o755)
    (tmp_path / "first").write_text(events(("ADDED", named("a"))) + end)
    (tmp_path / "second").write_text(events(("ADDED", named("a")), ("MODIFIED", named("a", ready=True))))
    pods = Pods(Namespace(Kubernetes(tmp_path / "kubeconfig", str(program), "helm"), "nowhere"))
    pods.start()
    try:
        wait_until((tmp_path / "told").exists, within_s=30)
    finally:
        changes = pods.stop()
    told = [(change.pod, change.state) for change in changes]
    assert told == [("a", "running"), ("(all)", "not looked at: the watch has ended"), ("a", "ready")]
