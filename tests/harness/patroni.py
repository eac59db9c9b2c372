"""What Patroni has written down of the database servers of an installation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chart_harness.cluster import Namespace
from chart_harness.errors import KubernetesError
from chart_harness.waiting import wait_until

SERVERS = "iot-system/database"
"""Label of the servers, and of what Patroni writes."""
RENEWED_WITHIN = timedelta(seconds=10)
"""The primary renews its lease every 5 s."""


def wait_until_whole(namespace: Namespace, within_s: float, why: str) -> None:
    """Return when any server may be lost: the primary holds its lease, and each other one may succeed it.

    A server that has only just come back may not: it may lack what was committed meanwhile. One server alone is whole.
    Raises AssertionError that tells who held what, and what servers have logged last.
    """
    found: dict[str, Any] = {}

    def is_whole() -> bool:
        try:
            servers = {str(pod["metadata"]["name"]) for pod in namespace.pods("postgres")}
            maps = namespace.read("configmaps", f"--selector={SERVERS}")["items"]
        except KubernetesError:
            return False  # the API server may have stood still until now
        written = {one["metadata"]["name"].rpartition("-")[2]: one["metadata"].get("annotations", {}) for one in maps}
        lease, synchronous = written.get("leader", {}), written.get("sync", {})
        found.update(servers=sorted(servers), lease=lease, sync=synchronous)
        return len(servers) == 1 or may_lose_one(servers, lease, synchronous, datetime.now(UTC))

    try:
        wait_until(is_whole, within_s=within_s, every_s=0.5, why=why)
    except AssertionError as late:
        late.add_note(f"{found}")
        for server in found.get("servers", ()):
            late.add_note(namespace.kubectl("logs", server, "--container=postgres", "--tail=3", "--prefix"))
        raise


def may_lose_one(
    servers: Collection[str], lease: Mapping[str, str], synchronous: Mapping[str, str], now: datetime
) -> bool:
    """The same, by the annotations of the lease and of who holds all that is committed."""
    primary = lease.get("leader", "")
    return (
        primary in servers
        and now - datetime.fromisoformat(lease["renewTime"]) < RENEWED_WITHIN
        and synchronous.get("leader") == primary
        and {primary, *synchronous.get("sync_standby", "").split(",")} == set(servers)
    )
