"""Brings what a turn has changed into the store, for as long as that takes, and lets go what leaves after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from iot_system.errors import Fenced, Unavailable
from iot_system.ports.store import PartitionCommit, Store
from iot_system.services.departures import Departures
from iot_system.services.outbox import Outbox
from iot_system.services.ownership import OwnedPartitions
from iot_system.services.shard_metrics import AWAY
from iot_system.services.turn import Share, SteppedWork
from iot_system.services.within import bound_to

RETRY_S = 0.5
log = structlog.get_logger()


class Committing:
    """Of one shard, within its turns. ``on_retry`` is called while the store is away."""

    def __init__(
        self,
        name: str,
        store: Store,
        ownership: OwnedPartitions,
        outbox: Outbox,
        departures: Departures,
        *,
        on_retry: Callable[[], None],
    ) -> None:
        self._name = name
        self._store = store
        self._ownership = ownership
        self._outbox = outbox
        self._departures = departures
        self._on_retry = on_retry

    async def patiently(self, call: Callable[[], Awaitable[None]], *, attempts: int | None = None) -> None:
        """Try again for as long as the store is away: what was read must be committed, by us or by the next owner."""
        tried = 0
        while True:
            try:
                await call()
            except Unavailable as error:
                tried += 1
                self._on_retry()
                AWAY.labels(self._name).set(1)
                log.warning("the store is away", shard=self._name, error=str(error))
                if tried == attempts:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                AWAY.labels(self._name).set(0)
                return

    async def commit(self, shares: Sequence[Share], *, attempts: int | None = None) -> None:
        """Commit all but what a newer epoch owns, then let go what leaves.

        Also where nothing changes: what an actor says is true only as long as nobody else owns it.
        """
        if unchanged := [share.partition.guard for share in shares if not share.has_changes]:
            try:
                await self.patiently(lambda: self._store.check(unchanged), attempts=attempts)
            except Fenced as fenced:
                await self._ownership.drop(fenced.partitions)
        await self._commit_sealed([(share, share.seal()) for share in shares if share.has_changes], attempts=attempts)

    async def commit_work(self, work: SteppedWork, sealed: Sequence[tuple[Share, PartitionCommit]]) -> bool:
        """Returns whether all of it is committed: else others own some of it."""
        is_whole = await self._commit_sealed(sealed)
        work.committed()
        return is_whole

    async def _commit_sealed(
        self, sealed: Sequence[tuple[Share, PartitionCommit]], *, attempts: int | None = None
    ) -> bool:
        """Returns whether all of it is committed."""
        is_whole, owned = True, self._ownership.owned
        while mine := [(one, commit) for one, commit in sealed if owned.get(commit.partition) is one.partition]:
            commits = [commit for _, commit in mine]
            for commit in commits:
                commit.published = self._outbox.published(commit.partition)
            try:
                await self.patiently(lambda commits=commits: self._store.commit(commits), attempts=attempts)  # type: ignore[misc]
            except Fenced as fenced:
                log.warning("fenced", shard=self._name, partitions=sorted(fenced.partitions))
                is_whole = False
                shares = [share for share, _ in sealed]
                await self._ownership.begin_anew(bound_to(fenced.partitions, shares), lost=fenced.partitions)
                continue
            for share, commit in mine:
                partition = share.partition
                partition.revision, partition.applied = commit.revision, commit.applied
                self._outbox.forget(partition.number, commit.published)
                self._outbox.put(partition.number, commit.outbox)
                await self._departures.send(partition.number, share.changes)
                if commit.timers:
                    self._ownership.rescheduled.set()
            break
        return is_whole
