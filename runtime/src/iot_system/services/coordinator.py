"""The coordinator: watches nodes and shards, and gives every partition to one shard.

It keeps nothing that it could not ask for again: shards say what they own, the store says which epoch is the newest.
So it may die at any time, and two of them at once only disturb each other: the epoch keeps the data right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from iot_system.domain.assignment import assign
from iot_system.errors import IotError
from iot_system.ports.placement import Placement, ShardHandle, ShardStatus

TICK_S = 1.0
STATUS_TIMEOUT_S = 3.0
MOVE_TIMEOUT_S = 15.0
MISSES_UNTIL_DEAD = 3
UNANSWERED_UNTIL_HUNG = 10
log = structlog.get_logger()


class Overview(msgspec.Struct, frozen=True):
    """Shard → its node and how many partitions it owns, as of the last round; ``draining`` nodes get no more.

    ``problems``: node → why a shard of it should be started anew.
    """

    shards: dict[str, tuple[str, int]]
    partitions: int
    draining: frozenset[str] = frozenset()
    problems: dict[str, str] = {}

    def owned_on(self, node: str) -> int:
        """How many partitions the shards of ``node`` own."""
        return sum(count for where, count in self.shards.values() if where == node)

    def has_left(self, node: str) -> bool:
        """Whether ``node`` owns nothing, and will get nothing any more."""
        return node in self.draining and self.owned_on(node) == 0

    @property
    def complete(self) -> bool:
        """Whether every partition has an owner."""
        return sum(count for _, count in self.shards.values()) == self.partitions


class Coordinator:
    """One round a second: see who is there, decide, move what must move."""

    def __init__(self, placement: Placement, *, partitions: int, shards_per_node: int) -> None:
        self._placement = placement
        self._partitions = partitions
        self._shards_per_node = shards_per_node
        self._draining: set[str] = set()
        self._misses: dict[str, int] = {}
        self._unanswered: dict[str, int] = {}
        self._met: set[str] = set()
        self._rounds_done = 0
        self._overview = Overview({}, partitions)
        self._wake = asyncio.Event()
        self._rounds: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the rounds."""
        self._rounds = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the rounds; shards go on as they are."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.gather(self._rounds, return_exceptions=True)

    async def overview(self) -> Overview:
        """What the last round saw."""
        return self._overview

    async def drain(self, node: str) -> Overview:
        """Move everything away from ``node``, which is about to leave; call again until it `Overview.has_left`."""
        self._draining.add(node)
        self._wake.set()
        return self._overview

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except IotError as error:
                log.warning("the coordinator waits", why=str(error))
            except Exception:
                log.exception("a round of the coordinator failed")
            self._wake.clear()
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def round(self) -> None:
        """See who is there, and bring every partition to the shard that should own it."""
        nodes = await self._placement.nodes()
        self._draining &= set(nodes)
        shards: dict[str, ShardHandle] = {}
        for node in nodes:  # one after another: a placement takes one question at a time
            found = await self._placement.ensure_shards(node, self._shards_per_node)
            shards.update({shard.name: shard for shard in found})
        answers = await asyncio.gather(*(self._status(shard) for shard in shards.values()))
        statuses = {status.name: status for status in answers if status is not None}
        silent = shards.keys() - statuses.keys()
        self._rounds_done += 1
        if any(self._may_own(name) for name in silent):
            return  # deciding without it would move too much
        self._overview = Overview(
            {one.name: (one.node, len(one.owned)) for one in statuses.values()},
            self._partitions,
            frozenset(self._draining),
            self._problems(shards, statuses),
        )
        owners = newest_owners(statuses)
        able = [name for name, status in statuses.items() if status.node not in self._overview.draining]
        wanted = assign(owners, able, self._partitions)
        await self._release(shards, statuses, wanted)
        await self._claim(shards, statuses, wanted)

    async def _status(self, shard: ShardHandle) -> ShardStatus | None:
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                status = await shard.status()
        except (IotError, TimeoutError) as error:
            self._misses[shard.name] = self._misses.get(shard.name, 0) + 1
            if isinstance(error, TimeoutError):
                self._unanswered[shard.name] = self._unanswered.get(shard.name, 0) + 1
            log.warning("a shard does not answer", shard=shard.name, times=self._misses[shard.name], why=str(error))
            return None
        self._misses.pop(shard.name, None)
        self._unanswered.pop(shard.name, None)
        self._met.add(shard.name)
        return status

    def _may_own(self, silent: str) -> bool:
        """Whether a shard that did not answer may own something: not one that is only starting, or has been given up.

        Whom a new coordinator has not met yet may have been there long before it.
        """
        is_new = silent not in self._met and self._rounds_done > MISSES_UNTIL_DEAD
        return not is_new and self._misses[silent] < MISSES_UNTIL_DEAD

    def _problems(self, shards: Mapping[str, ShardHandle], statuses: Mapping[str, ShardStatus]) -> dict[str, str]:
        """What a shard says itself; or that it hangs, which is more than to refuse: a refusal is an answer."""
        found = {one.node: one.problem for one in statuses.values() if one.problem is not None}
        for name, times in self._unanswered.items():
            if name in shards and times >= UNANSWERED_UNTIL_HUNG:
                found[shards[name].node] = f"shard {name} has not answered {times} times"
        return found

    async def _release(
        self, shards: Mapping[str, ShardHandle], statuses: Mapping[str, ShardStatus], wanted: Mapping[int, str]
    ) -> None:
        await self._each(
            {
                shard: [number for number in status.owned if wanted.get(number) != name]
                for name, status in statuses.items()
                if (shard := shards[name])
            },
            "release",
        )

    async def _claim(
        self, shards: Mapping[str, ShardHandle], statuses: Mapping[str, ShardStatus], wanted: Mapping[int, str]
    ) -> None:
        missing: dict[ShardHandle, list[int]] = {}
        for number, name in wanted.items():
            if number not in statuses[name].owned:
                missing.setdefault(shards[name], []).append(number)
        await self._each(missing, "claim")

    async def _each(self, moves: Mapping[ShardHandle, list[int]], what: str) -> None:
        async def move(shard: ShardHandle, partitions: list[int]) -> None:
            try:
                async with asyncio.timeout(MOVE_TIMEOUT_S):
                    await (shard.release(partitions) if what == "release" else shard.claim(partitions))
            except (IotError, TimeoutError) as error:
                log.warning(f"could not {what}", shard=shard.name, partitions=partitions, why=str(error))
            else:
                log.info(what, shard=shard.name, partitions=len(partitions))

        await asyncio.gather(*(move(shard, partitions) for shard, partitions in moves.items() if partitions))


def newest_owners(statuses: Mapping[str, ShardStatus]) -> dict[int, str]:
    """Partition → the shard with the newest epoch among those that believe to own it."""
    newest: dict[int, tuple[int, str]] = {}
    for name, status in statuses.items():
        for number, epoch in status.owned.items():
            newest[number] = max(newest.get(number, (0, "")), (epoch, name))
    return {number: name for number, (_, name) in newest.items()}
