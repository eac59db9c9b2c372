"""A Python program beside the containers of a pod: it sees the pod's network, whatever is in the pod's own images."""

from __future__ import annotations

import secrets
from typing import Any

from chart_harness.cluster import Namespace
from chart_harness.waiting import wait_until

WITHIN_S = 120.0


def run(namespace: Namespace, pod: str, image: str, program: str, *arguments: str) -> str:
    """What the program prints. ``image`` has Python and is on the nodes.

    Raises AssertionError where it does not end in time, or with an error.
    """
    name = f"beside-{secrets.token_hex(3)}"  # a pod's containers are never removed
    command = ("debug", pod, f"--image={image}", f"--container={name}", "--profile=restricted", "--quiet")
    namespace.kubectl(*command, "--image-pull-policy=IfNotPresent", "--", "python", "-c", program, *arguments)
    ended = wait_until(lambda: _end(namespace.read("pod", pod), name), within_s=WITHIN_S, every_s=0.5, why=name)
    printed = namespace.kubectl("logs", pod, f"--container={name}")
    assert ended["exitCode"] == 0, printed
    return printed


def python_image(namespace: Namespace) -> str:
    """That of the API, which has Python and no shell."""
    return str(namespace.pods("api")[0]["spec"]["containers"][0]["image"])


def _end(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """How the container ended; empty while it has not."""
    states = {one["name"]: one["state"] for one in pod["status"].get("ephemeralContainerStatuses", [])}
    ended: dict[str, Any] = states.get(container, {}).get("terminated", {})
    return ended
