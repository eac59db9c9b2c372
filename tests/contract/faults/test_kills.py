"""A process is killed amid commands, changes of twins and messages between actors: all comes out exactly right.

FAULT_RUNS=20 repeats each fault so often, each time with another seed; then the actor system dies as a whole too.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.contract.faults.figures import COUNTED
from tests.contract.faults.pods import Pods
from tests.contract.faults.workload import Workload
from tests.harness.processes import Plant, kill, running_plant

pytestmark = pytest.mark.heavy
RUNS = int(os.environ.get("FAULT_RUNS", "1"))
SEED = 20150204
TIMEOUT_S = 480
_numbers = itertools.count()


def api(plant: Plant, chance: random.Random) -> None:
    pod = chance.choice(plant.pods)
    pod.kill()
    pod.start()


def shard(plant: Plant, chance: random.Random) -> None:
    kill(chance.choice(plant.shards()))


def coordinator(plant: Plant, _: random.Random) -> None:
    found = plant.coordinators()
    assert found, "there is no coordinator to kill"
    for pid in found:
        kill(pid)


def broker(plant: Plant, _: random.Random) -> None:
    plant.broker.kill()
    plant.broker.start()


def actor_system(plant: Plant, _: random.Random) -> None:
    plant.actors.kill()
    plant.actors.start()


Fault = Callable[[Plant, random.Random], None]
FAULTS: list[Fault] = [api, shard, coordinator, broker, *([actor_system] if RUNS > 1 else [])]


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    with running_plant() as plant:
        yield plant


@asynccontextmanager
async def listening(workload: Workload, plant: Plant) -> AsyncIterator[None]:
    """By Server-Sent Events of one pod, resumed where it is killed."""
    ready = asyncio.Event()
    task = asyncio.create_task(workload.listen(plant.pods[0].url, plant.admin_token, ready))
    try:
        await asyncio.wait_for(ready.wait(), TIMEOUT_S)
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("seed", range(SEED, SEED + RUNS))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_after_a_kill_every_count_and_state_is_exactly_right(
    plant: Plant, fault: Fault, seed: int, record_property: Callable[[str, object], None]
) -> None:
    plant.wait_until_whole()
    async with Pods([pod.url for pod in plant.pods], plant.admin_token) as pods, AsyncExitStack() as opened:
        workload = Workload(pods, plant.mqtt_ports, name=f"run{next(_numbers)}", seed=seed)
        await workload.prepare(opened)
        await opened.enter_async_context(listening(workload, plant))
        await workload.work(lambda: fault(plant, random.Random(seed)))
        record_property(COUNTED, [fault.__name__, *await workload.check()])
