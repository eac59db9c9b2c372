"""A store that speaks S3, by TLS, in a namespace of its own: versitygw, over a folder that goes with its pod."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chart_harness.cluster import Kubernetes, Namespace

from tests.harness import programs
from tests.harness.certificates import Authority

PROGRAM = "versitygw"
PORT = 7070
BUCKET = "backups"
SECRET, CA_SECRET = "backup-store", "backup-store-ca"
READY_WITHIN_S = 120


class ObjectStore:
    """``start`` it once; installations of other namespaces get what opens it by ``admit``."""

    def __init__(self, kubernetes: Kubernetes, folder: Path) -> None:
        self.namespace = Namespace(kubernetes, f"iot-store-{secrets.token_hex(3)}")
        self._authority = Authority(folder, "store")
        self._keys = {"access-key": "tests", "secret-key": secrets.token_hex(16)}

    @property
    def endpoint(self) -> str:
        """Host and port within the cluster."""
        return f"store.{self.namespace.name}.svc:{PORT}"

    def values(self, path: str) -> dict[str, Any]:
        """What an installation is told of it; ``path`` is its own folder."""
        place = {
            "endpoint": self.endpoint,
            "bucket": BUCKET,
            "path": path,
            "existingSecret": SECRET,
            "caSecret": CA_SECRET,
        }
        return {
            "postgres.backup.enabled": True,
            "postgres.backup.repository.type": "s3",
            **{f"postgres.backup.repository.s3.{key}": value for key, value in place.items()},
        }

    def start(self) -> None:
        """Return when it serves."""
        programs.load(PROGRAM)
        self.namespace.create()
        signed = self._authority.server(hosts=[self.endpoint.partition(":")[0]])
        files = {"tls.crt": Path(signed.certificate).read_text(), "tls.key": Path(signed.key).read_text()}
        self._apply("Secret", "v1", "store", stringData={**self._keys, **files})
        self._apply("Service", "v1", "store", spec={"selector": {"app": "store"}, "ports": [{"port": PORT}]})
        self._apply("Pod", "v1", "store", spec=_pod())
        self.namespace.kubectl("wait", "--for=condition=Ready", "pod/store", f"--timeout={READY_WITHIN_S}s")

    def admit(self, namespace: Namespace, passphrase: str) -> None:
        """Give an installation the secrets that `values` names."""
        made = {
            SECRET: {**self._keys, "passphrase": passphrase},
            CA_SECRET: {"ca.crt": Path(self._authority.ca).read_text()},
        }
        for name, data in made.items():
            _apply(namespace, "Secret", "v1", name, stringData=data)

    def remove(self) -> None:
        """Return when nothing is left of it."""
        self.namespace.delete()
        self.namespace.wait_until_gone()

    def _apply(self, kind: str, version: str, name: str, **content: Any) -> None:
        _apply(self.namespace, kind, version, name, **content)


def _apply(namespace: Namespace, kind: str, version: str, name: str, **content: Any) -> None:
    metadata = {"name": name, "labels": {"app": name}}
    manifest: Mapping[str, Any] = {"apiVersion": version, "kind": kind, "metadata": metadata, **content}
    namespace.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))


def _pod() -> dict[str, Any]:
    keys = {"ROOT_ACCESS_KEY": "access-key", "ROOT_SECRET_KEY": "secret-key"}
    folders_ = {"/objects": "objects", "/attributes": "attributes", "/tmp": "scratch"}
    container = {
        "name": "store",
        "image": programs.image(PROGRAM),
        "imagePullPolicy": "Never",
        "args": [
            *("--port", f":{PORT}", "--cert", "/tls/tls.crt", "--key", "/tls/tls.key"),
            *("posix", "--sidecar", "/attributes", "/objects"),
        ],
        "env": [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": "store", "key": key}}} for name, key in keys.items()
        ],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": programs.CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "tls", "mountPath": "/tls", "readOnly": True},
            *({"name": name, "mountPath": path} for path, name in folders_.items()),
            # A bucket is a folder; Kubernetes makes it.
            {"name": "objects", "mountPath": f"/objects/{BUCKET}", "subPath": BUCKET},
        ],
    }
    return {
        "containers": [container],
        "volumes": [
            {"name": "tls", "secret": {"secretName": "store"}},
            *({"name": name, "emptyDir": {"sizeLimit": "2Gi"}} for name in folders_.values()),
        ],
        "securityContext": programs.POD_SECURITY,
    }
