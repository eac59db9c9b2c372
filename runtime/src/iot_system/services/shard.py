"""The shard: owns partitions, hosts their actors, and applies each frame in one transaction.

Restore, mutate, persist, publish, in that order: what a turn needs is loaded, its actors change in memory, the store
commits, and only then messages leave and questions see the new state. One turn at a time: frames, changes by users,
timers, a claim, a release and a question about state never run at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import structlog

from iot_system.ending import ended
from iot_system.errors import Fenced, Overloaded, Unavailable
from iot_system.ports.clock import Clock
from iot_system.ports.placement import ShardStatus
from iot_system.ports.requests import Requests
from iot_system.ports.store import Store
from iot_system.ports.stream import Stream
from iot_system.services.committing import RETRY_S, Committing
from iot_system.services.departures import Departures
from iot_system.services.dues import Gateways
from iot_system.services.housekeeping import Housekeeping
from iot_system.services.outbox import Outbox
from iot_system.services.ownership import OwnedPartitions
from iot_system.services.partition import Partition
from iot_system.services.questions import Answers
from iot_system.services.reading import Reading
from iot_system.services.turn import SteppedWork, Work, freeze
from iot_system.services.turns import Turns

CHANGE_ATTEMPTS = 4
"""How often a change by a user is tried to be committed: who asked does not wait for long."""
ROOM_WAIT_S = 5.0
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
        self._outbox = Outbox(stream)
        self._departures = Departures(stream, requests, clock)
        self._gateways = Gateways(requests, clock)
        self._turn = Turns()
        self._answers = Answers(self, store, requests, clock)
        self._ownership = OwnedPartitions(
            name,
            store,
            requests,
            self._outbox,
            of=partitions,
            stream_id=stream_id,
            to_owner=self._answers.to_owner,
            on_change=self.turned,  # who owned nothing had nothing to turn for
        )
        self.moved, self.rescheduled = self._ownership.moved, self._ownership.rescheduled
        self._committing = Committing(
            name, store, self._ownership, self._outbox, self._departures, on_retry=self.turned
        )
        self._reading = Reading(self, stream, self._departures, clock)
        self._housekeeping = Housekeeping(
            self,
            store,
            stream,
            self._gateways,
            clock,
            passivate_after_s=passivate_after_s,
            retention_days=retention_days,
        )
        self._running: list[asyncio.Task[None]] = []
        self._turned_s = clock.monotonic_s()

    async def start(self) -> None:
        """Answer questions that any shard can answer, and apply what owned partitions get, until `stop`."""
        await self._departures.start()
        await self._gateways.start()
        await self._requests.serve(None, self._answers.to_anyone)
        self._running = [
            asyncio.create_task(self._for_ever(self._reading.run)),
            asyncio.create_task(self._for_ever(self._outbox.run)),
            asyncio.create_task(self._for_ever(self._housekeeping.keep)),
            asyncio.create_task(self._for_ever(self._housekeeping.fire)),
            asyncio.create_task(self._for_ever(self._housekeeping.end_lost_connections)),
        ]

    async def stop(self) -> None:
        """End, and release everything; idempotent. What is under way and not committed is the next owner's to redo."""
        await self._requests.unserve(None)
        for task in self._running:
            task.cancel()
        await ended(self._running)
        await self._answers.stop()
        await self.release(list(self.owned))

    async def status(self) -> ShardStatus:
        """See `iot_system.ports.placement.ShardHandle.status`."""
        owned = {number: one.epoch for number, one in self.owned.items()}
        return ShardStatus(self.name, self.node, owned, self.why_not_alive())

    def why_not_alive(self) -> str | None:
        """A loop that does not turn. One that waits for a broker or a store that is away does: it tries again."""
        age_s = self._clock.monotonic_s() - self._turned_s
        return f"shard {self.name} has not turned for {age_s:.0f} s" if self.owned and age_s > STUCK_S else None

    async def claim(self, partitions: Sequence[int]) -> None:
        """See `iot_system.ports.placement.ShardHandle.claim`."""
        async with self._turn:
            wanted = [number for number in partitions if number not in self.owned]
            await self._ownership.take(wanted)

    async def release(self, partitions: Sequence[int]) -> None:
        """See `iot_system.ports.placement.ShardHandle.release`."""
        async with self._turn:
            await self._ownership.drop(partitions)
        if partitions:
            log.info("released", shard=self.name, partitions=list(partitions))

    @property
    def owned(self) -> Mapping[int, Partition]:
        """By its own knowledge."""
        return self._ownership.owned

    def owns(self, number: int) -> bool:
        """Whether this shard owns it, by its own knowledge."""
        return number in self.owned

    def partition(self, number: int) -> Partition:
        """Raises `NotOwned` where this shard does not own it (any more)."""
        return self._ownership.partition(number)

    def reached(self) -> int:
        """The last sequence of the stream that was applied."""
        return self._ownership.reached()

    @property
    def stream_id(self) -> str:
        """Of the stream that positions are in."""
        return self._ownership.stream_id

    @property
    def lag(self) -> int:
        """How many frames wait in the stream."""
        return self._reading.lag

    def turned(self) -> None:
        """Its loops turn."""
        self._turned_s = self._clock.monotonic_s()

    @contextlib.asynccontextmanager
    async def whole_turn(self) -> AsyncIterator[None]:
        """Hold everything else of this shard."""
        async with self._turn:
            yield

    @contextlib.asynccontextmanager
    async def turn(self, number: int) -> AsyncIterator[Partition]:
        """Hold everything else of this shard while using a partition's state.

        Raises `NotOwned` or `Fenced` where another shard owns it, `Unavailable` where the store does not answer.
        """
        async with self._turn:
            try:
                partition = self.partition(number)
                await self._store.check([partition.guard])
                yield partition
            except Fenced as fenced:
                await self._ownership.drop(fenced.partitions)
                raise

    async def apply(self, begin: Callable[[], Work]) -> None:
        """Do what must be done, in a turn of its own, as soon as the store is there and events find room."""
        await self._room()
        async with self._turn:
            work = begin()
            try:
                await self._committing.patiently(lambda: work.load(self._store))
                await self._committing.commit(work.apply())
            except BaseException:
                # Actors may hold what is not committed: nobody shall see it, the next claim begins from the store.
                await self._ownership.drop(work.partitions)
                raise

    async def apply_on(self, begin: Callable[[bool], SteppedWork | None]) -> None:
        """Do one piece of work after the other in one turn, each while the one before it is being committed.

        ``begin`` gives the next, and knows whether one is being committed already, so that only much is worth while;
        with None the turn is over. Whoever waits for a turn ends it. Nobody sees what is not committed: that is all
        within the turn, and where a commit fails, what was built on it begins anew from the store.
        """
        touched: set[int] = set()
        committing: asyncio.Task[bool] | None = None
        await self._room()
        async with self._turn:
            try:
                while True:
                    # The first piece is always done: else frames would wait for as long as anybody wants a turn.
                    is_first = committing is None
                    work = begin(not is_first) if is_first or not self._must_end_turn else None
                    if work is None:
                        if committing is not None:
                            await committing
                        return
                    touched.update(work.partitions)
                    await self._committing.patiently(lambda work=work: work.load(self._store))  # type: ignore[misc]
                    touched.update(work.partitions)
                    if work.asks_history:
                        if committing is not None and not await committing:
                            await self._ownership.begin_anew(touched)
                            return
                        await self._committing.patiently(lambda work=work: work.look_up(self._store))  # type: ignore[misc]
                    for _ in work.steps():
                        await asyncio.sleep(0)
                    sealed = [(share, share.seal()) for share in work.shares]
                    for _, commit in sealed:
                        freeze(commit)
                    if committing is not None and not await committing:
                        await self._ownership.begin_anew(touched)
                        return
                    touched = {share.partition.number for share, _ in sealed}
                    committing = asyncio.create_task(self._committing.commit_work(work, sealed))
            except BaseException:
                if committing is not None:
                    committing.cancel()
                    await asyncio.gather(committing, return_exceptions=True)
                await self._ownership.drop(touched)
                raise

    async def change(self, work: Work) -> None:
        """Make changes of users, within `whole_turn`, as long as they wait for it.

        Where the store does not answer, nobody knows whether they were committed: this shard begins anew from what the
        store has, and raises `Unavailable`. Raises `Overloaded` where events find no room.
        """
        if self._outbox.is_full:
            raise Overloaded("too many events wait for their stream, which does not take them at present")
        await self._committing.patiently(lambda: work.load(self._store), attempts=CHANGE_ATTEMPTS)
        try:
            await self._committing.commit(work.apply(), attempts=CHANGE_ATTEMPTS)
        except asyncio.CancelledError:
            await self._ownership.drop(work.partitions)
            raise
        except BaseException as error:
            await self._ownership.begin_anew(work.partitions)
            if isinstance(error, Unavailable):
                raise Unavailable(f"nobody knows whether the change was made: {error}") from error
            raise

    async def follow_stream(self) -> None:
        """Where the stream is another one than before, begin anew with it: old positions mean nothing there."""
        stream_id = await self._stream.follow(self.stream_id, reached=self.reached())
        async with self._turn:
            if stream_id == self.stream_id:
                return
            log.error("the stream was lost; beginning anew", shard=self.name, was=self.stream_id, now=stream_id)
            await self._ownership.follow(stream_id)

    @property
    def _must_end_turn(self) -> bool:
        return self._turn.is_wanted or self._outbox.is_full

    async def _room(self) -> None:
        """Wait while too many events do. They are in the store, and frames in their stream: nothing is lost."""
        while not await self._outbox.has_room(ROOM_WAIT_S):
            self.turned()

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin ``work`` again after a failure: positions live in the store, so beginning again loses nothing."""
        while True:
            try:
                await work()
            except Unavailable as error:
                self.turned()
                self._gateways.begin_anew()
                log.warning("waiting", shard=self.name, why=str(error))
            except Exception:
                log.exception("begins again", shard=self.name)
            await asyncio.sleep(RETRY_S)
