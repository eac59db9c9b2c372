"""The store of a simulation: SQLite in memory, watched, in a process of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

import msgspec
from iot_system.adapters.sqlite import registry
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.registry import Device
from iot_system.errors import Fenced
from iot_system.ports.store import Claim, PartitionCommit, Store
from iot_system.services.turn import freeze

from tests.simulation.history import History
from tests.simulation.network import Connection, Network
from tests.simulation.processes import Process
from tests.simulation.wording import commit_words

ANSWER_TIMEOUT_S = 5.0


class WatchedStore(SqliteStore):
    """Keeps beside the database what it was asked for: who owns what, and what was applied in which order."""

    def __init__(self, history: History) -> None:
        super().__init__(":memory:")
        self.process = Process("store")
        self.epochs: dict[int, int] = {}
        self.revisions: dict[int, int] = {}
        self.applied_messages: dict[str, list[Any]] = {}
        """Values of ``n``, by device, in the order of their commits."""
        self.wrong: list[str] = []
        self.before_commit: Callable[[Process, int], Awaitable[None]] | None = None
        """Done once, in whoever commits next, before it does; of its partitions it is told the first."""
        self._history = history

    async def begin(self, devices: Sequence[Device]) -> None:
        """Start with these registered."""
        await self.start()
        await self._database.write(registry.write_devices, devices)

    @property
    def connection(self) -> sqlite3.Connection:
        """To look at everything at once."""
        connection = self._database._connection
        assert connection is not None
        return connection

    async def claim(self, partitions: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
        claims = await super().claim(partitions, owner, stream)
        if claims:
            epochs = {number: claim.epoch for number, claim in claims.items()}
            self.epochs |= epochs
            self._history.note("store", "gives {} partitions by epoch: {}", owner, epochs)
        return claims

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        words = partial(commit_words, list(commits))
        try:
            await super().commit(commits)
        except Fenced as fenced:
            self._history.note("store", "refuses an owner of before for {}: {}", sorted(fenced.partitions), words)
            raise
        self._history.note("store", "commits {}", words)
        for one in commits:
            if one.epoch != self.epochs.get(one.partition):
                newest = self.epochs.get(one.partition)
                self.wrong.append(
                    f"a commit of epoch {one.epoch} to partition {one.partition}, whose newest is {newest}"
                )
            if one.revision > self.revisions.get(one.partition, 0):
                self.revisions[one.partition] = one.revision
                for message in one.readings:
                    if "n" in message.values:
                        self.applied_messages.setdefault(message.device, []).append(message.values["n"])


class StoreClient:
    """What ``process`` has of the store: `iot_system.ports.store.Store` over a network, by a pool of connections."""

    def __init__(self, network: Network, store: WatchedStore, process: Process) -> None:
        self._store = store
        self._process = process
        self._connection = Connection(network, process, store.process, is_ordered=False)

    @classmethod
    def of(cls, network: Network, store: WatchedStore, process: Process) -> Store:
        """As the port."""
        return cast("Store", cls(network, store, process))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if name == "commit":
                args = (list(map(_as_sent, args[0])),)
                if (before := self._store.before_commit) is not None:
                    self._store.before_commit = None
                    await before(self._process, args[0][0].partition)
            work = partial(method, *args, **kwargs)
            return await self._connection.call(f"{name} of {self._process.name}", work, timeout_s=ANSWER_TIMEOUT_S)

        return call


def _as_sent(commit: PartitionCommit) -> PartitionCommit:
    """As it is now: it may arrive after its owner has gone on."""
    sent = msgspec.structs.replace(commit)
    freeze(sent)
    return sent
