"""What the NATS servers of an installation say of their streams."""

from __future__ import annotations

from typing import Any, NamedTuple

import httpx
from chart_harness.cluster import Namespace
from chart_harness.port_forward import PortForward

MONITOR = 8222
ANSWER_S = 10.0
ASKED = {"accounts": "true", "streams": "true", "config": "true"}


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
    # Not through the API server, a stranger to the policies: what kubectl forwards begins within the pod.
    way = PortForward(namespace, "nats", (MONITOR,))
    way.start()
    try:
        answer = httpx.get(f"{way.url(MONITOR)}/jsz", params=ASKED, timeout=ANSWER_S, trust_env=False)
        said: dict[str, Any] = answer.raise_for_status().json()
    finally:
        way.stop()
    return said


def _details(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [stream for account in said["account_details"] for stream in account["stream_detail"]]
