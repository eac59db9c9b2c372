"""kubectl on the cluster, at the pinned version."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ci import tools
from ci.command import CommandError, run
from ci.progress import Step


def call(kubeconfig: Path, *arguments: str | Path, stdin: str | None = None, step: Step | None = None) -> str:
    """What `kubectl ARGUMENTS` prints; raises CommandError."""
    return run(tools.path("kubectl"), "--kubeconfig", kubeconfig, *arguments, stdin=stdin, step=step)


def items(kubeconfig: Path, kind: str) -> list[Any]:
    """All objects of a kind, of no namespace or of all."""
    listed = call(kubeconfig, "get", kind, "--all-namespaces", "--output", "json")
    found: list[Any] = json.loads(listed)["items"]
    return found


def wait_for_api(kubeconfig: Path, within_s: float) -> None:
    """Return when the API server says that it is ready; raises CommandError with its last answer when it is late."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            call(kubeconfig, "get", "--raw", "/readyz", "--request-timeout=5s")
        except CommandError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
