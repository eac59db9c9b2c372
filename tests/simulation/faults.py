"""Faults between two steps: a seed decides which, when and for how long."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import msgspec
from iot_system.errors import IotError

from tests.simulation.cluster import Cluster, SimulatedShard
from tests.simulation.history import FAULT
from tests.simulation.network import Network, Weather
from tests.simulation.processes import Process

SHORTEST_S, LONGEST_S = 0.05, 20.0
STEPS_APART = 250
SKEW_US = 5_000_000


class Climate(msgspec.Struct, frozen=True):
    """What may go wrong in one history: how often messages are ``lost`` and ``late``, which faults, and how many."""

    weather: Weather
    kinds: tuple[str, ...]
    strikes: int

    @classmethod
    def drawn(cls, chance: random.Random) -> Climate:
        """Some kinds only: so each has histories in which nothing else hides what it does."""
        weather = Weather(
            hop_s=chance.choice([0.004, 0.05, 0.3]),
            lost=chance.choice([0.0, 0.0, 0.01, 0.05]),
            late=chance.choice([0.0, 0.0, 0.01, 0.03]),
        )
        kinds = [kind for kind in KINDS if chance.random() < 0.4]
        return cls(weather, tuple(kinds), chance.randint(1, 12) if kinds else 0)


class Nemesis:
    """Strikes until `stop`, one fault at a time, each some steps after the one before."""

    def __init__(self, cluster: Cluster, climate: Climate, chance: random.Random) -> None:
        self._cluster = cluster
        self._network: Network = cluster.network
        self._climate = climate
        self._chance = chance
        self._left = climate.strikes
        self._most_steps = cluster.loop.strike_at
        self._give_up = cluster.loop.strike
        self._meddler = Process("meddler")

    def start(self) -> None:
        """From now on."""
        self._network.weather = self._climate.weather
        self._cluster.loop.strike = self._strike
        self._plan_next()

    def stop(self) -> None:
        """Fair weather, and everything runs."""
        self._left = 0
        self._cluster.store.before_commit = None
        self._network.weather = Weather()
        self._network.cut_off.clear()
        for process in (self._cluster.broker.process, self._cluster.store.process):
            self._cluster.loop.thaw(process)
        self._cluster.heal()
        self._cluster.loop.strike, self._cluster.loop.strike_at = self._give_up, self._most_steps
        self._network.history.note(FAULT, "none any more")

    def _plan_next(self) -> None:
        loop = self._cluster.loop
        if self._left:
            loop.strike_at = min(loop.steps + self._chance.randint(1, STEPS_APART), self._most_steps)
        else:
            loop.strike, loop.strike_at = self._give_up, self._most_steps

    def _strike(self) -> None:
        self._left -= 1
        KINDS[self._chance.choice(self._climate.kinds)](self)
        self._plan_next()

    def _duration_s(self) -> float:
        return float(SHORTEST_S * (LONGEST_S / SHORTEST_S) ** self._chance.random())

    def _kill(self, places: list[str]) -> None:
        running = [place for place in self._cluster.places if place.name.startswith(tuple(places))]
        place = self._chance.choice(running)
        if not place.process.is_dead:
            self._cluster.kill(place, for_s=self._duration_s())

    def _before_commit(self, work: Callable[[Process, int], Awaitable[None]]) -> None:
        """Strike whoever commits next: what is done too early, or too late, is seldom so for long."""
        self._cluster.store.before_commit = work

    async def _move(self, _: Process, partition: int) -> None:
        """Its commit leaves when it owns the partition no longer."""
        self._meddle(partition)
        await asyncio.sleep(self._duration_s())

    async def _kill_instead(self, process: Process, _: int) -> None:
        """Everything else that it has to do by now is done before it dies."""
        loop, for_s = self._cluster.loop, self._duration_s()
        place = next(one for one in self._cluster.shards if one.process is process)
        loop.call_later(0, lambda: self._cluster.kill(place, for_s=for_s), context=loop.nobody.context)
        await loop.create_future()

    def _freeze(self, process: Process) -> None:
        if not process.runs:
            return
        for_s, loop = self._duration_s(), self._cluster.loop
        self._network.history.note(FAULT, "freezes {} for {:.3f} s", process.name, for_s)
        loop.freeze(process)
        loop.call_later(for_s, self._thaw, process, context=loop.nobody.context)

    def _thaw(self, process: Process) -> None:
        if process.is_frozen and not process.is_dead:
            self._network.history.note("cluster", "{} goes on", process.name)
            self._cluster.loop.thaw(process)

    def _cut_off(self, process: Process) -> None:
        for_s, loop = self._duration_s(), self._cluster.loop
        self._network.history.note(FAULT, "cuts {} off for {:.3f} s", process.name, for_s)
        self._network.cut_off.add(process)
        loop.call_later(for_s, self._let_in, process, context=loop.nobody.context)

    def _let_in(self, process: Process) -> None:
        if process in self._network.cut_off:
            self._network.history.note("cluster", "{} is reached again", process.name)
            self._network.cut_off.discard(process)

    def _any(self) -> Process:
        return self._chance.choice(self._cluster.places).process

    def _meddle(self, number: int) -> None:
        """As a second coordinator: a shard is told to claim what another one owns."""
        place = self._chance.choice(self._cluster.shards)
        self._network.history.note(FAULT, "tells {} to claim partition {}", place.name, number)
        shard = SimulatedShard(self._network, self._meddler, place)
        self._cluster.loop.spawn(self._meddler, _ignoring(shard.claim([number])))

    def _skew(self) -> None:
        process = self._any()
        process.skew_us += self._chance.randint(-SKEW_US, SKEW_US)
        self._network.history.note(FAULT, "sets the clock of {} to {} µs ahead", process.name, process.skew_us)


async def _ignoring(work: Awaitable[object]) -> None:
    with contextlib.suppress(IotError):
        await work


KINDS: dict[str, Callable[[Nemesis], None]] = {
    "kill a shard": lambda nemesis: nemesis._kill(["shard"]),
    "kill a shard before it commits": lambda nemesis: nemesis._before_commit(nemesis._kill_instead),
    "kill a gateway": lambda nemesis: nemesis._kill(["gateway"]),
    "kill the coordinator": lambda nemesis: nemesis._kill(["coordinator"]),
    "freeze something": lambda nemesis: nemesis._freeze(nemesis._any()),
    "freeze a shard": lambda nemesis: nemesis._freeze(nemesis._chance.choice(nemesis._cluster.shards).process),
    "freeze a gateway": lambda nemesis: nemesis._freeze(nemesis._chance.choice(nemesis._cluster.gateways).process),
    "freeze the broker": lambda nemesis: nemesis._freeze(nemesis._cluster.broker.process),
    "freeze the store": lambda nemesis: nemesis._freeze(nemesis._cluster.store.process),
    "cut the broker off": lambda nemesis: nemesis._cut_off(nemesis._cluster.broker.process),
    "cut the store off": lambda nemesis: nemesis._cut_off(nemesis._cluster.store.process),
    "cut something off": lambda nemesis: nemesis._cut_off(nemesis._any()),
    "move a partition": lambda nemesis: nemesis._meddle(nemesis._chance.randrange(nemesis._cluster.partitions)),
    "move a partition before its commit": lambda nemesis: nemesis._before_commit(nemesis._move),
    "set a clock": lambda nemesis: nemesis._skew(),
}
