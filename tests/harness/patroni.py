"""What Patroni has written down of the database servers of an installation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from chart_harness.cluster import Namespace
from chart_harness.errors import KubernetesError

SERVERS = "iot-system/database"
"""Label of the servers, and of what Patroni writes."""
RENEWED_WITHIN = timedelta(seconds=10)
"""The primary renews its lease every 5 s."""


def is_whole(namespace: Namespace) -> bool:
    """Whether any server may be lost: the primary holds its lease, and each other one may succeed it.

    A server that has only just come back may not: it may lack what was committed meanwhile. One server alone is whole.
    """
    try:
        servers = {str(pod["metadata"]["name"]) for pod in namespace.pods("postgres")}
        found = namespace.read("configmaps", f"--selector={SERVERS}")["items"]
    except KubernetesError:
        return False  # the API server may have stood still until now
    written = {one["metadata"]["name"].rpartition("-")[2]: one["metadata"].get("annotations", {}) for one in found}
    now = datetime.now(UTC)
    return len(servers) == 1 or may_lose_one(servers, written.get("leader", {}), written.get("sync", {}), now)


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
