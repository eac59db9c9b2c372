"""Strikes each of which shows one defect for certain: it waits for the moment, whatever the machine has to do.

What `tests.contract.faults.meters.Meters` have sent before is seen; afterwards what was killed may still be starting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import httpx
from chart_harness.waiting import until

from tests.contract.faults.meters import Meter, Meters, serving
from tests.harness.processes import SHARDS, Plant, frozen, kill, thaw

WITHIN_S = 60.0
ANSWER_S = 20.0
_REVISION = "select revision from partitions where number = $1"
_WAITING = "select count(*) from pg_locks where not granted and relation = 'history'::regclass"


async def a_pod_dies_while_the_broker_is_away(plant: Plant, meters: Meters) -> None:
    """What it has acknowledged without the broker is nowhere."""
    pod = plant.pods[0]
    await until(lambda: meters.send_once(pod.url), within_s=WITHIN_S, why="the pod does not know the devices")
    plant.broker.kill()
    await meters.send_once(pod.url)
    pod.kill()
    plant.broker.start()
    pod.start()


async def shards_die_amid_their_commits(plant: Plant, meters: Meters) -> None:
    """Each has begun one, which waits for the history; what it has written apart from that stays written."""
    async with _administrator(plant) as connection, connection.transaction():
        await connection.execute("lock table history in share mode")
        await meters.send()

        async def all_wait() -> bool:
            return int(await connection.fetchval(_WAITING)) == SHARDS

        await until(all_wait, within_s=WITHIN_S, why="a shard does not commit")
        _kill_shards(plant)


async def a_shard_wakes_up_after_another_took_over(plant: Plant, meters: Meters) -> None:
    """It stood still, and was asked for a change before the other was; nobody tells it that it owns nothing.

    If it makes the change, the owner's next commit counts for one that was made before.
    """
    sleeper = plant.shards()[0]
    with contextlib.ExitStack() as still:
        still.enter_context(frozen(sleeper))
        struck = await _asked_in_vain(plant, meters)
        await until(lambda: _owners_of(plant, struck) == SHARDS, within_s=WITHIN_S, why="nobody takes over")
        (coordinator,) = plant.coordinators()
        still.enter_context(frozen(coordinator))
        async with _administrator(plant) as connection:
            before = await connection.fetchval(_REVISION, struck.partition)
            thaw(sleeper)

            async def is_refused_or_made() -> bool:
                owners, revision = _owners_of(plant, struck), await connection.fetchval(_REVISION, struck.partition)
                return owners == 1 or revision > before

            await until(is_refused_or_made, within_s=WITHIN_S, why="it does not go on")
        kill(sleeper)
        for _ in range(2):
            await meters.send()
            await meters.are_seen()


async def acknowledgements_are_cut_off(plant: Plant, meters: Meters) -> None:
    """So the devices send the same words again."""
    await meters.send()
    await meters.are_seen()
    await meters.send_again()


async def shards_die_before_it_is_written_what_left(plant: Plant, meters: Meters) -> None:
    """What they told rooms on the other shard is told again by who comes after them."""
    await meters.send()
    await meters.are_seen()
    _kill_shards(plant)


async def _asked_in_vain(plant: Plant, meters: Meters) -> Meter:
    """Ask for a change of each device, once; returns the one of which nobody heard."""
    headers = {"Authorization": f"Bearer {plant.admin_token}"}
    url = plant.pods[0].url
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_S, trust_env=False) as client:
        asked = [client.patch(f"{meter.path}/twin/desired", json={"asked": True}) for meter in meters.all]
        answers = await asyncio.gather(*asked)
    (struck,) = [meter for meter, answer in zip(meters.all, answers, strict=True) if answer.status_code == 503]
    return struck


def _owners_of(plant: Plant, meter: Meter) -> int:
    """How many shards believe to own its partition."""
    return sum(meter.partition in owned for owned in serving(plant).values())


def _kill_shards(plant: Plant) -> None:
    for pid in plant.shards():
        kill(pid)


@contextlib.asynccontextmanager
async def _administrator(plant: Plant) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(plant.database.url)
    try:
        yield connection
    finally:
        await connection.close()
