"""The Kubernetes API as a pod of the chart sees it: with the rights of its service account, and no others."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chart_harness.cluster import Namespace
from iot_system.commands.kubernetes import Kubernetes


@contextmanager
def as_account(namespace: Namespace, account: str, folder: Path) -> Iterator[Kubernetes]:
    """``folder`` takes what would be mounted."""
    shown = json.loads(namespace.kubectl("config", "view", "--raw", "--minify", "--output=json"))
    server = shown["clusters"][0]["cluster"]
    (folder / "token").write_text(namespace.kubectl("create", "token", account))
    (folder / "ca.crt").write_bytes(_authority(server))
    with Kubernetes(url=server["server"], folder=folder) as connected:
        yield connected


def _authority(server: dict[str, str]) -> bytes:
    if "certificate-authority" in server:
        return Path(server["certificate-authority"]).read_bytes()
    return base64.b64decode(server["certificate-authority-data"])
