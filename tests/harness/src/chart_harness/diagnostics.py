"""What is needed to understand a failure in a cluster, in one folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chart_harness.cluster import Namespace
from chart_harness.errors import KubernetesError

FOLDER = Path("diagnostics")
LOG_LINES = 20_000


def folder(test: str) -> Path:
    """The folder of one test, by its node id."""
    return FOLDER.absolute() / re.sub(r"[^\w.-]+", "-", test).strip("-")


def collect(namespace: Namespace, release: str, target: Path) -> None:
    """Write events, descriptions, logs (previous ones too), values, manifest and use of resources.

    What cannot be had is told in its file; the rest is written all the same. Raises OSError where one cannot be
    written, or there is no kubectl or helm.
    """
    target.mkdir(parents=True, exist_ok=True)
    kubectl, helm = namespace.kubectl, namespace.helm
    questions: dict[str, Callable[[], str]] = {
        "events.txt": lambda: kubectl("get", "events", "--sort-by=.lastTimestamp", "--output=wide"),
        "all.txt": lambda: kubectl("get", "all,configmaps,secrets,persistentvolumeclaims", "--output=wide"),
        "pods.txt": lambda: kubectl("describe", "pods"),
        "workloads.txt": lambda: kubectl("describe", "deployments,statefulsets,jobs,persistentvolumeclaims"),
        "pods.yaml": lambda: kubectl("get", "pods", "--output=yaml"),
        "top.txt": lambda: kubectl("top", "pods", "--containers"),
        "nodes.txt": lambda: namespace.cluster.kubectl("describe", "nodes"),
        "values.yaml": lambda: helm("get", "values", release, "--all"),
        "manifest.yaml": lambda: helm("get", "manifest", release),
        "hooks.yaml": lambda: helm("get", "hooks", release),
    }
    for pod in _pods(namespace):
        name, status = pod["metadata"]["name"], pod["status"]
        statuses = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        restarted = {one["name"] for one in statuses if one["restartCount"]}
        for spec in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
            container = spec["name"]
            logs = ("logs", name, "--container", container, f"--tail={LOG_LINES}")
            questions[f"logs/{name}.{container}.log"] = _asked(namespace, *logs)
            if container in restarted:
                questions[f"logs/{name}.{container}.previous.log"] = _asked(namespace, *logs, "--previous")
    (target / "logs").mkdir(exist_ok=True)
    with ThreadPoolExecutor(4) as threads:
        writing = [threads.submit(_write, target / file, question) for file, question in questions.items()]
    for one in writing:
        one.result()


def _pods(namespace: Namespace) -> list[dict[str, Any]]:
    try:
        pods: list[dict[str, Any]] = namespace.read("pods")["items"]
    except KubernetesError:
        return []
    return pods


def _asked(namespace: Namespace, *arguments: str) -> Callable[[], str]:
    return lambda: namespace.kubectl(*arguments)


def _write(path: Path, question: Callable[[], str]) -> None:
    try:
        text = question()
    except KubernetesError as error:
        text = f"not to be had: {error}\n"
    path.write_text(text)
