"""When a database may lose a server, by what Patroni has written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.harness.patroni import may_lose_one

SERVERS = {"postgres-0", "postgres-1", "postgres-2"}
NOW = datetime(2026, 11, 27, tzinfo=UTC)
LEASE = {"leader": "postgres-1", "renewTime": (NOW - timedelta(seconds=5)).isoformat()}
SYNCHRONOUS = {"leader": "postgres-1", "sync_standby": "postgres-0,postgres-2", "quorum": "1"}


def test_a_database_may_lose_a_server_when_each_may_succeed_the_primary() -> None:
    assert may_lose_one(SERVERS, LEASE, SYNCHRONOUS, NOW)


@pytest.mark.parametrize(
    ("lease", "synchronous"),
    [
        ({}, {}),
        ({}, SYNCHRONOUS),
        (LEASE | {"leader": "postgres-3"}, SYNCHRONOUS),
        (LEASE | {"renewTime": (NOW - timedelta(seconds=20)).isoformat()}, SYNCHRONOUS),
        (LEASE, {}),
        (LEASE, SYNCHRONOUS | {"leader": "postgres-0"}),
        (LEASE, {"leader": "postgres-1", "quorum": "0"}),
        (LEASE, SYNCHRONOUS | {"sync_standby": "postgres-0", "quorum": "0"}),
    ],
)
def test_a_database_without_a_lease_or_with_a_server_that_may_not_succeed_is_not_whole(
    lease: dict[str, str], synchronous: dict[str, str]
) -> None:
    assert not may_lose_one(SERVERS, lease, synchronous, NOW)
