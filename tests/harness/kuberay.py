"""KubeRay's operator in a namespace of its own, with the settings that it comes with."""

from __future__ import annotations

import json
import secrets
from typing import Any

import yaml
from chart_harness.cluster import Kubernetes, Namespace

from ci import go, lock
from tests.harness import programs

PROGRAM = "ray-operator"
NAME = "kuberay-operator"
READY_PORT = 8082
READY_WITHIN_S = 120
DEFINITIONS_WITHIN_S = 30


class KubeRay:
    """``start`` it once: it looks after the RayClusters of all namespaces."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.namespace = Namespace(kubernetes, f"iot-operator-{secrets.token_hex(3)}")

    def start(self) -> None:
        """Return when it serves."""
        programs.load(PROGRAM)
        self.namespace.create()
        # As the server keeps them: beside a note of what was sent they would be too long.
        definitions, rights = _of_the_cluster(self.namespace.name)
        self._apply(definitions)
        self._apply(rights)
        for definition in definitions:
            self.namespace.kubectl(
                "wait",
                "--for=condition=Established",
                f"crd/{definition['metadata']['name']}",
                f"--timeout={DEFINITIONS_WITHIN_S}s",
            )
        self._apply([_manifest("Pod", "v1", spec=_pod())])
        self.namespace.kubectl("wait", "--for=condition=Ready", f"pod/{NAME}", f"--timeout={READY_WITHIN_S}s")

    def remove(self) -> None:
        """Return when nothing is left of it, nor of any RayCluster."""
        for manifests in _of_the_cluster(self.namespace.name):
            self.namespace.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=_list(manifests))
        self.namespace.delete()
        self.namespace.wait_until_gone()

    def _apply(self, manifests: list[dict[str, Any]]) -> None:
        self.namespace.kubectl("apply", "--server-side", "--filename=-", stdin=_list(manifests))


def _of_the_cluster(namespace: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What belongs to no namespace: the definitions of its resources, and its rights, as it publishes them."""
    source = go.source(lock.tool(PROGRAM)) / "config"
    definitions = [yaml.load(one.read_text(), yaml.CSafeLoader) for one in sorted(source.glob("crd/bases/*.yaml"))]
    role = yaml.safe_load((source / "rbac" / "role.yaml").read_text())
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]}
    binding = _manifest("ClusterRoleBinding", role["apiVersion"], subjects=[subject], roleRef=reference)
    account = _manifest("ServiceAccount", "v1")
    return definitions, [role, binding, account]


def _pod() -> dict[str, Any]:
    container = {
        "name": NAME,
        "image": programs.image(PROGRAM),
        "imagePullPolicy": "Never",
        "args": ["--enable-leader-election=false"],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": READY_PORT}, "periodSeconds": 1},
        "securityContext": programs.CONTAINER_SECURITY,
    }
    return {"serviceAccountName": NAME, "containers": [container], "securityContext": programs.POD_SECURITY}


def _manifest(kind: str, version: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": NAME}, **content}


def _list(manifests: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
