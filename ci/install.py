"""Installs the chart into a cluster, as its README tells a user to."""

from __future__ import annotations

from pathlib import Path

from ci import cluster, tools
from ci.cluster import Cluster
from ci.command import run
from ci.folders import ROOT
from ci.progress import note, step

CHART = ROOT / "charts" / "iot-system"
NAMESPACE = "iot"
RELEASE = "iot"
NAMESPACE_MANIFEST = f"""
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def install(into: Cluster, values: Path) -> None:
    """Install or upgrade the release `iot` in the namespace `iot`; returns when everything is ready."""
    kubeconfig = {"KUBECONFIG": str(into.kubeconfig)}
    with step(f"chart installed with {values.name}") as current:
        run(tools.path("kubectl"), "apply", "--filename", "-", stdin=NAMESPACE_MANIFEST, env=kubeconfig)
        run(
            tools.path("helm"),
            *("upgrade", "--install", RELEASE, CHART, "--namespace", NAMESPACE, "--values", values),
            *("--wait", "--timeout", "10m"),
            env=kubeconfig,
            step=current,
        )
    note('in your shell: eval "$(make -s cluster-env)"')
    note(f"then: helm test {RELEASE} --namespace {NAMESPACE} --logs")
    note(f"      kubectl --namespace {NAMESPACE} port-forward service/api-service 8000 1883")


def shell_settings() -> str:
    """Lines for a POSIX shell: kubectl, helm and kind on PATH, and the local cluster as the one they speak to."""
    folders = dict.fromkeys(str(tools.path(name).parent) for name in ("kubectl", "helm", "kind"))
    return f"export PATH={':'.join(folders)}:$PATH\nexport KUBECONFIG={cluster.kubeconfig()}"
