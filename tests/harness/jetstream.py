"""What the NATS servers of an installation say of their streams."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.harness.cluster import Namespace


class Streams(NamedTuple):
    """Name → the most bytes that a stream may have, on disk and in memory; and the room that one server has on disk."""

    on_disk: dict[str, int]
    in_memory: dict[str, int]
    disk_bytes: int


def stream_leader(namespace: Namespace) -> str:
    """The NATS server through which every acknowledged frame goes at present."""
    found = _details(_said(namespace))
    return next(str(stream["cluster"]["leader"]) for stream in found if stream["name"] == "IOT_FRAMES")


def streams(namespace: Namespace) -> Streams:
    """All streams."""
    said = _said(namespace)
    limits: dict[str, dict[str, int]] = {"file": {}, "memory": {}}
    for stream in _details(said):
        limits[stream["config"]["storage"]][stream["name"]] = stream["config"]["max_bytes"]
    return Streams(limits["file"], limits["memory"], said["config"]["max_storage"])


def _said(namespace: Namespace) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{namespace.name}/pods/nats-0:8222/proxy/jsz?accounts=true&streams=true&config=true"
    said: dict[str, Any] = json.loads(namespace.cluster.kubectl("get", "--raw", path))
    return said


def _details(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [stream for account in said["account_details"] for stream in account["stream_detail"]]
