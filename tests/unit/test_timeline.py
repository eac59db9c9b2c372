"""When what happened: what is written down of pods."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.timeline import state_of


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
