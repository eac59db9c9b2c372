"""Installs the chart into a cluster, as its README tells a user to."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ci import cluster, kubectl, rollout, tools
from ci.cluster import Cluster
from ci.command import run
from ci.folders import ROOT
from ci.progress import note, step

CHART = ROOT / "charts" / "iot-system"
NAMESPACE = "iot"
RELEASE = "iot"
REMOVAL_S = 300
VALUES = "iot-system/values"
"""An annotation of the namespace: the name of the values file that it was made for."""


def install(into: Cluster, values: Path) -> None:
    """Install or upgrade the release `iot` in the namespace `iot`; returns when everything is ready.

    What was installed with another values file is replaced, with its volumes: their sizes cannot change, and the
    sample is loaded by an installation only.
    """
    _remove_other(into.kubeconfig, values.name)
    rollout.restart_outdated(into.kubeconfig, NAMESPACE)
    environment = {"KUBECONFIG": str(into.kubeconfig)}
    with step(f"chart installed with {values.name}") as current:
        kubectl.call(into.kubeconfig, "apply", "--filename", "-", stdin=json.dumps(_namespace(values.name)))
        run(
            tools.path("helm"),
            *("upgrade", "--install", RELEASE, CHART, "--namespace", NAMESPACE, "--values", values),
            *("--wait", "--timeout", "10m"),
            env=environment,
            step=current,
        )
    rollout.remember(into.kubeconfig, NAMESPACE)
    note('in your shell: eval "$(make -s cluster-env)"')
    # Ports, and whether there is a CA to trust, depend on the values: the chart knows.
    note(run(tools.path("helm"), "get", "notes", RELEASE, "--namespace", NAMESPACE, env=environment).strip())


def shell_settings() -> str:
    """Lines for a POSIX shell: kubectl, helm and kind on PATH, and the local cluster as the one they speak to."""
    folders = dict.fromkeys(str(tools.path(name).parent) for name in ("kubectl", "helm", "kind"))
    path, kubeconfig = shlex.quote(":".join(folders)), shlex.quote(str(cluster.kubeconfig()))
    return f'export PATH={path}:"$PATH"\nexport KUBECONFIG={kubeconfig}'


def _remove_other(kubeconfig: Path, values: str) -> None:
    """Remove the namespace where it was made for another values file."""
    found = kubectl.call(kubeconfig, "get", "namespace", NAMESPACE, "--ignore-not-found", "--output", "json")
    if not found:
        return
    installed = json.loads(found)["metadata"].get("annotations", {}).get(VALUES, "values that nobody noted")
    if installed != values:
        with step(f"remove what was installed with {installed}, its volumes too: {values} is wanted"):
            kubectl.call(kubeconfig, "delete", "namespace", NAMESPACE, "--wait", f"--timeout={REMOVAL_S}s")


def _namespace(values: str) -> dict[str, object]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": labels, "annotations": {VALUES: values}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
