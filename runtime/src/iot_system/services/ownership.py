"""Which partitions a shard owns, by its own knowledge, and what comes and goes with each of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Sequence

import structlog

from iot_system.errors import Unavailable
from iot_system.ports.requests import Handler, Requests
from iot_system.ports.store import Store
from iot_system.services.outbox import Outbox
from iot_system.services.partition import NotOwned, Partition
from iot_system.services.shard_metrics import OWNED

log = structlog.get_logger()


class OwnedPartitions:
    """``owned`` are partitions by number; their positions are those of the stream ``stream_id``."""

    def __init__(
        self,
        name: str,
        store: Store,
        requests: Requests,
        outbox: Outbox,
        *,
        of: int,
        stream_id: str,
        to_owner: Callable[[int], Handler],
        on_change: Callable[[], None],
    ) -> None:
        """``of`` is how many partitions there are; ``to_owner`` gives what answers the questions to one."""
        self.owned: dict[int, Partition] = {}
        self.stream_id = stream_id
        self.moved = asyncio.Event()
        """Set when partitions came or went."""
        self.rescheduled = asyncio.Event()
        """Set when actors may be due earlier than before."""
        self._name = name
        self._store = store
        self._requests = requests
        self._outbox = outbox
        self._of = of
        self._to_owner = to_owner
        self._on_change = on_change

    def partition(self, number: int) -> Partition:
        """Raises `NotOwned` where this shard does not own it (any more)."""
        try:
            return self.owned[number]
        except KeyError:
            raise NotOwned(f"partition {number} has just moved away from shard {self._name}") from None

    def reached(self) -> int:
        """The last sequence of the stream that was applied."""
        return max((one.applied for one in self.owned.values()), default=0)

    async def take(self, partitions: Sequence[int]) -> None:
        """Become the owner, as the store has them. Raises `Unavailable`: then it owns what it has got so far."""
        claims = await self._store.claim(partitions, self._name, self.stream_id)
        for number, claim in claims.items():
            # First, so that nothing is owned whose questions nobody answers.
            await self._requests.serve(number, self._to_owner(number))
            self.owned[number] = Partition(claim, of=self._of)
            self._outbox.put(number, claim.outbox)
            self._changed()
        if partitions:
            log.info("claimed", shard=self._name, partitions=partitions, epochs={n: c.epoch for n, c in claims.items()})

    async def drop(self, partitions: Iterable[int]) -> None:
        """They are another shard's, or nobody's."""
        for number in partitions:
            if self.owned.pop(number, None) is not None:
                self._outbox.drop(number)
                await self._requests.unserve(number)
        self._changed()

    async def follow(self, stream_id: str) -> None:
        """Take what is owned anew, by a stream that replaces the one before. Raises `Unavailable` as `take` does."""
        self.stream_id = stream_id
        owned = list(self.owned)
        await self.drop(owned)
        await self.take(owned)

    async def begin_anew(self, partitions: Collection[int], *, lost: Collection[int] = ()) -> None:
        """Take ``partitions`` as the store has them, without those that are ``lost`` to others."""
        owned = [number for number in partitions if number in self.owned and number not in lost]
        await self.drop(partitions)
        if owned:
            with contextlib.suppress(Unavailable):  # whoever assigns partitions gives them to somebody
                await self.take(owned)

    def _changed(self) -> None:
        OWNED.labels(self._name).set(len(self.owned))
        self._on_change()
        self.moved.set()
        self.rescheduled.set()
