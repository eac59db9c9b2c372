"""One history from a seed: a system, devices, faults, and what must hold at the end."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import structlog
from chart_harness.waiting import until
from iot_system.domain.ids import partition_of
from iot_system.domain.registry import Device as Registered

from tests.harness.ledger import Ledger
from tests.simulation import queues
from tests.simulation.broker import Broker
from tests.simulation.cluster import Cluster
from tests.simulation.commanding import Commanded
from tests.simulation.devices import SORTS, Device
from tests.simulation.faults import Climate, Nemesis
from tests.simulation.history import History
from tests.simulation.invariants import broken, is_settled
from tests.simulation.network import Network
from tests.simulation.seeded_loop import SeededLoop
from tests.simulation.storing import WatchedStore

LONGEST_S = 600.0
MOST_STEPS = 200_000
SETTLED_WITHIN_S = 120.0
PARTITIONS = 4
COMMANDED = 0.2
"""Of the devices."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of ``seed``: a sentence for each thing that is ``wrong``, and its history."""

    seed: int
    wrong: list[str]
    history: str
    steps: int
    time_s: float

    def __str__(self) -> str:
        return "\n".join(
            [
                self.history,
                "",
                f"seed {self.seed}, {self.steps} steps:",
                *(f"- {one}" for one in self.wrong),
                f"again: python -m pytest -c runtime/pyproject.toml --rootdir=. tests/simulation --seed {self.seed}",
            ]
        )


def simulate(seed: int, *, is_told: bool = False) -> Outcome:
    """The history of ``seed``; it is put into words where something is wrong, or where ``is_told``."""
    with _buried():
        return _run(seed, is_told=is_told)


def _run(seed: int, *, is_told: bool) -> Outcome:
    chance = random.Random(seed)
    loop = SeededLoop(chance, longest_s=LONGEST_S, most_steps=MOST_STEPS)
    history = History(loop.time)
    wrong: list[str] = []
    with history.with_logs(), queues.drawn(chance):
        try:
            wrong += loop.run_until_complete(_live(loop, history, chance))
        except AssertionError as failed:
            wrong.append(str(failed))
    wrong += history.unforeseen
    wrong += [f"nobody caught {one['exception']!r}" for one in loop.unforeseen]
    words = str(history) if wrong or is_told else ""
    loop.end()
    return Outcome(seed, wrong, words, loop.steps, loop.time())


async def _live(loop: SeededLoop, history: History, chance: random.Random) -> list[str]:
    network = Network(chance, history)
    store, broker, ledger = WatchedStore(history), Broker(), Ledger()
    cluster = Cluster(
        loop,
        network,
        broker,
        store,
        shards=chance.randint(1, 3),
        gateways=chance.randint(1, 2),
        partitions=PARTITIONS,
        passivate_after_s=chance.choice([0.5, 300.0]),
    )
    ids = [f"d{number}" for number in range(chance.randint(2, 4))]
    await store.begin([Registered(id=id_, room=chance.choice(["r0", "r1", None])) for id_ in ids])
    devices = [Device(id_, chance.choice(SORTS), chance.randint(2, 8), cluster, ledger, chance) for id_ in ids]
    commanded = [Commanded(id_, chance.randint(1, 3), cluster, chance) for id_ in ids if chance.random() < COMMANDED]
    climate = Climate.drawn(chance)
    history.note("seed", "draws {}; partitions {}", climate, {id_: partition_of(id_, PARTITIONS) for id_ in ids})
    cluster.start()
    nemesis = Nemesis(cluster, climate, chance)
    nemesis.start()
    watched = queues.Queues(cluster)
    watching = loop.create_task(watched.watch())
    living = [loop.spawn(device.process, device.live()) for device in devices]
    living += [loop.spawn(one.user, one.give()) for one in commanded]
    living += [loop.spawn(one.process, one.obey()) for one in commanded]
    await asyncio.gather(*living)
    nemesis.stop()
    try:
        await until(lambda: is_settled(cluster), within_s=SETTLED_WITHIN_S, why="not everything was applied")
    except AssertionError as late:  # what is on its way is not lost; what the store has seen may say why
        wrong = [str(late), *store.wrong]
    else:
        wrong = broken(cluster, ledger, devices)
    watching.cancel()
    wrong += sorted(watched.wrong)
    wrong += [problem for one in commanded for problem in one.broken()]
    await store.stop()
    return wrong


@contextmanager
def _buried() -> Iterator[None]:
    """Nothing is collected meanwhile, for tasks of the dead would clean up after all; at the end, unheard."""
    was_enabled, logs = gc.isenabled(), structlog.get_config()
    gc.disable()
    gc.freeze()  # what was there before is not looked at, history after history
    structlog.configure(processors=[_drop])
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited")  # its process died before
            yield
            complain, sys.unraisablehook = sys.unraisablehook, lambda _: None
            gc.collect()
            sys.unraisablehook = complain
    finally:
        structlog.configure(**logs)
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def _drop(_logger: object, _level: str, _entry: object) -> str:
    raise structlog.DropEvent
