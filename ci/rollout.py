"""Restarts what runs an image of the same name but of other content: pod templates name images, and do not change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ci import images, kubectl, stamp
from ci.progress import step

ANNOTATION = "iot-system/images"
"""On a workload: the stamp of the images that it was started with."""
KINDS = "deployments,statefulsets"


def restart_outdated(kubeconfig: Path, namespace: str) -> None:
    """Restart the workloads that were started with other images than today's; waits for none of them."""
    outdated = [
        _name(workload)
        for workload, wanted in _workloads(kubeconfig, namespace)
        if workload["metadata"].get("annotations", {}).get(ANNOTATION) != wanted
    ]
    if outdated:
        with step(f"restart {', '.join(outdated)}: the images have changed"):
            kubectl.call(kubeconfig, "--namespace", namespace, "rollout", "restart", *outdated)


def remember(kubeconfig: Path, namespace: str) -> None:
    """Note on each workload that it runs today's images; to be called once it does."""
    for workload, wanted in _workloads(kubeconfig, namespace):
        note = f"{ANNOTATION}={wanted}"
        kubectl.call(kubeconfig, "--namespace", namespace, "annotate", "--overwrite", _name(workload), note)


def _workloads(kubeconfig: Path, namespace: str) -> list[tuple[Any, str]]:
    """The workloads in the namespace, each with the stamp of its images as they are on this machine."""
    listed = kubectl.call(kubeconfig, "--namespace", namespace, "get", KINDS, "--output", "json")
    stamps = {image.full_name.removeprefix("docker.io/"): image.stamp() for image in images.IMAGES}
    found = []
    for workload in json.loads(listed)["items"]:
        used = sorted(container["image"] for container in workload["spec"]["template"]["spec"]["containers"])
        found.append((workload, stamp.of(*(stamps.get(image, image) for image in used))))
    return found


def _name(workload: Any) -> str:
    return f"{workload['kind'].lower()}/{workload['metadata']['name']}"
