"""The shard: owns partitions, hosts their actors, and applies each frame in one transaction.

Restore, mutate, persist, publish, in that order: what a frame needs is loaded, its actors change in memory, the store
commits, and only then messages to other actors leave and questions see the new state. One turn at a time: a batch, a
claim, a release and a question about state never run at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import structlog

from iot_system.errors import Fenced, Unavailable
from iot_system.ports.clock import Clock
from iot_system.ports.placement import ShardStatus
from iot_system.ports.requests import Requests
from iot_system.ports.store import Store
from iot_system.ports.stream import Stream, StreamMessage
from iot_system.services.batch import Batch
from iot_system.services.outbox import Outbox
from iot_system.services.partition import NotOwned, Partition
from iot_system.services.questions import Answers
from iot_system.services.shard_metrics import APPLIED, APPLY_SECONDS, LAG, OWNED, PASSIVATED

FETCH_FRAMES = 64
FETCH_WAIT_S = 1.0
RETRY_S = 0.5
HOUSEKEEPING_S = 10.0
MAINTENANCE_S = 3600.0
STUCK_S = 60.0
log = structlog.get_logger()


class Shard:
    """Implements `iot_system.ports.placement.ShardHandle` for the process that it runs in."""

    def __init__(
        self,
        *,
        name: str,
        node: str,
        store: Store,
        stream: Stream,
        requests: Requests,
        clock: Clock,
        partitions: int,
        stream_id: str,
        passivate_after_s: float = 300.0,
        retention_days: int = 0,
    ) -> None:
        self.name = name
        self.node = node
        self._store = store
        self._stream = stream
        self._requests = requests
        self._clock = clock
        self._of = partitions
        self._stream_id = stream_id
        self._passivate_after_s = passivate_after_s
        self._retention_days = retention_days
        self._owned: dict[int, Partition] = {}
        self._outbox = Outbox(stream)
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()
        self._answers = Answers(self, store, requests, clock)
        self.lag = 0
        self._running: list[asyncio.Task[None]] = []
        self._turned_s = clock.monotonic_s()

    async def start(self) -> None:
        """Answer questions that any shard can answer, and apply what owned partitions get, until `stop`."""
        await self._requests.serve(None, self._answers.to_anyone)
        self._running = [
            asyncio.create_task(self._for_ever(self._apply_what_comes)),
            asyncio.create_task(self._for_ever(self._outbox.run)),
            asyncio.create_task(self._for_ever(self._keep_house)),
        ]

    async def stop(self) -> None:
        """End, and release everything; idempotent. What is under way and not committed is the next owner's to redo."""
        await self._requests.unserve(None)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.release(list(self._owned))

    async def status(self) -> ShardStatus:
        """See `iot_system.ports.placement.ShardHandle.status`."""
        owned = {number: one.epoch for number, one in self._owned.items()}
        return ShardStatus(self.name, self.node, owned, self.why_not_alive())

    def why_not_alive(self) -> str | None:
        """A loop that does not turn. One that waits for a broker or a store that is away does: it tries again."""
        age_s = self._clock.monotonic_s() - self._turned_s
        return f"shard {self.name} has not turned for {age_s:.0f} s" if self._owned and age_s > STUCK_S else None

    async def claim(self, partitions: Sequence[int]) -> None:
        """See `iot_system.ports.placement.ShardHandle.claim`."""
        async with self._turn:
            wanted = [number for number in partitions if number not in self._owned]
            await self._take(wanted)

    async def release(self, partitions: Sequence[int]) -> None:
        """See `iot_system.ports.placement.ShardHandle.release`."""
        async with self._turn:
            await self._drop(partitions)
        if partitions:
            log.info("released", shard=self.name, partitions=list(partitions))

    def owns(self, number: int) -> bool:
        """Whether this shard owns it, by its own knowledge."""
        return number in self._owned

    def partition(self, number: int) -> Partition:
        """Raises `NotOwned` where this shard does not own it (any more)."""
        try:
            return self._owned[number]
        except KeyError:
            raise NotOwned(f"partition {number} has just moved away from shard {self.name}") from None

    @contextlib.asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[Partition]:
        """Hold everything else of this shard while using a partition's state."""
        async with self._turn:
            try:
                yield self.partition(number)
            except Fenced as fenced:
                await self._drop(fenced.partitions)
                raise

    async def _take(self, partitions: Sequence[int]) -> None:
        claims = await self._store.claim(partitions, self.name, self._stream_id)
        for number, claim in claims.items():
            # First, so that nothing is owned whose questions nobody answers.
            await self._requests.serve(number, self._answers.to_owner(number))
            self._owned[number] = Partition(claim, of=self._of)
            self._outbox.put(number, claim.outbox)
            self._changed()
        if partitions:
            log.info("claimed", shard=self.name, partitions=partitions, epochs={n: c.epoch for n, c in claims.items()})

    async def _follow_stream(self) -> None:
        """Where the stream is another one than before, begin anew with it: old positions mean nothing there."""
        stream_id = await self._stream.follow(self._stream_id, reached=self._reached())
        async with self._turn:
            if stream_id == self._stream_id:
                return
            log.error("the stream was lost; beginning anew", shard=self.name, was=self._stream_id, now=stream_id)
            self._stream_id = stream_id
            owned = list(self._owned)
            await self._drop(owned)
            await self._take(owned)

    def _reached(self) -> int:
        return max((one.applied for one in self._owned.values()), default=0)

    async def _apply_what_comes(self) -> None:
        await self._follow_stream()
        while True:
            self._moved.clear()
            positions = {number: one.applied for number, one in self._owned.items()}
            if not positions:
                await self._moved.wait()
                continue
            async with self._stream.read(positions, stream_id=self._stream_id) as reader:
                fetching = asyncio.create_task(reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S))
                try:
                    while not self._moved.is_set():
                        messages = await self._or_moved(fetching)
                        if messages is None:
                            break
                        self._turned_s = self._clock.monotonic_s()
                        self.lag = reader.pending
                        LAG.labels(self.name).set(self.lag)
                        # The next frames come in while these are applied.
                        fetching = asyncio.create_task(reader.fetch(FETCH_FRAMES, wait_s=FETCH_WAIT_S))
                        await self._apply(messages)
                finally:
                    fetching.cancel()
                    await asyncio.gather(fetching, return_exceptions=True)

    async def _or_moved(self, fetching: asyncio.Task[list[StreamMessage]]) -> list[StreamMessage] | None:
        moved = asyncio.ensure_future(self._moved.wait())
        try:
            await asyncio.wait([fetching, moved], return_when=asyncio.FIRST_COMPLETED)
        finally:
            moved.cancel()
        return fetching.result() if fetching.done() else None

    async def _apply(self, messages: list[StreamMessage]) -> None:
        if not messages:
            return
        async with self._turn:
            batch = Batch(messages, self._owned, now_s=self._clock.monotonic_s())
            try:
                with APPLY_SECONDS.time():
                    await self._patiently(lambda: batch.load(self._store))
                    batch.apply()
                    await self._commit(batch)
            except BaseException:
                # Actors may hold what is not committed: nobody shall see it, the next claim begins from the store.
                await self._drop(batch.partitions)
                raise
        APPLIED.inc(batch.telemetry)

    async def _commit(self, batch: Batch) -> None:
        """Commit all but what a newer epoch owns."""
        while commits := [commit for commit in batch.commits if commit.partition in self._owned]:
            for commit in commits:
                commit.published = self._outbox.published(commit.partition)
            try:
                await self._patiently(lambda commits=commits: self._store.commit(commits))  # type: ignore[misc]
            except Fenced as fenced:
                log.warning("fenced", shard=self.name, partitions=sorted(fenced.partitions))
                await self._drop(fenced.partitions)
                continue
            for commit in commits:
                self._owned[commit.partition].applied = commit.applied
                self._outbox.forget(commit.partition, commit.published)
                self._outbox.put(commit.partition, commit.outbox)
            return

    async def _patiently(self, call: Callable[[], Awaitable[None]]) -> None:
        """Try again for as long as the store is away: what was read must be committed, by us or by the next owner."""
        while True:
            try:
                return await call()
            except Unavailable as error:
                self._turned_s = self._clock.monotonic_s()
                log.warning("the store is away", shard=self.name, error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _drop(self, partitions: Iterable[int]) -> None:
        for number in partitions:
            if self._owned.pop(number, None) is not None:
                self._outbox.drop(number)
                await self._requests.unserve(number)
        self._changed()

    def _changed(self) -> None:
        OWNED.labels(self.name).set(len(self._owned))
        self._turned_s = self._clock.monotonic_s()  # who owned nothing had nothing to turn for
        self._moved.set()

    async def _keep_house(self) -> None:
        await self._follow_stream()
        maintained_s = -MAINTENANCE_S
        while True:
            now_s = self._clock.monotonic_s()
            async with self._turn:
                idle_since_s = now_s - self._passivate_after_s
                PASSIVATED.inc(sum(one.actors.passivate(idle_since_s=idle_since_s) for one in self._owned.values()))
            await self._stream.verify(self._stream_id, reached=self._reached())
            if 0 in self._owned:  # one shard does it for all: whoever owns the first partition
                stream_id = self._stream_id
                await self._stream.trim(await self._store.applied(stream_id), stream_id=stream_id)
                if now_s - maintained_s >= MAINTENANCE_S:
                    await self._store.maintain(now_us=self._clock.now_us(), retention_days=self._retention_days)
                    maintained_s = now_s
            await asyncio.sleep(min(HOUSEKEEPING_S, self._passivate_after_s))

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin ``work`` again after a failure: positions live in the store, so beginning again loses nothing."""
        while True:
            try:
                await work()
            except Unavailable as error:
                self._turned_s = self._clock.monotonic_s()
                log.warning("waiting", shard=self.name, why=str(error))
            except Exception:
                log.exception("begins again", shard=self.name)
            await asyncio.sleep(RETRY_S)
