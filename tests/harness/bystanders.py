"""Pods that are no part of what was installed, with labels of one's choice: each listens at one port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chart_harness.cluster import Namespace

from tests.harness import programs

PORT = 8000
READY_WITHIN_S = 60


def start(namespace: Namespace, image: str, pods: Mapping[str, Mapping[str, str]]) -> None:
    """Start pods, name → labels, and return when they listen. ``image`` has Python and is on the nodes."""
    manifests = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": _spec(image)}
        for name, labels in pods.items()
    ]
    listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
    namespace.kubectl("create", "--filename=-", stdin=json.dumps(listed))
    namespace.kubectl("wait", "--for=condition=Ready", "pod", *pods, f"--timeout={READY_WITHIN_S}s")


def stop(namespace: Namespace, pods: Mapping[str, Mapping[str, str]]) -> None:
    """Return when they are gone."""
    namespace.kubectl("delete", "pod", *pods, "--grace-period=0", "--force", "--ignore-not-found")


def _spec(image: str) -> dict[str, Any]:
    container = {
        "name": "listener",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "http.server", str(PORT)],
        "workingDir": "/",
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": programs.CONTAINER_SECURITY,
    }
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "securityContext": programs.POD_SECURITY,
    }
