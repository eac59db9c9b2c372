"""The placement port on a real Ray cluster on this machine: a head, and a node that may host shards."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import pytest
import ray
from chart_harness.waiting import until
from iot_system.adapters.ray.apart import apart_from_head
from iot_system.adapters.ray.host import Gone, host
from iot_system.adapters.ray.machines import MACHINE, NODE_RESOURCE, digest
from iot_system.adapters.ray.node import QUIET, WATCHFUL, connect
from iot_system.adapters.ray.placement import Head, RayPlacement, RayShard
from iot_system.errors import Unavailable
from iot_system.ports.placement import ShardHandle
from ray._private.utils import publish_error_to_driver
from ray.cluster_utils import Cluster

from tests.contract.ray.placed import REFUSED, factory, factory_here, factory_in_vain, start_apart

pytestmark = pytest.mark.heavy
DEADLINE_S = 60.0
OBJECT_STORE_BYTES = 80_000_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    before = dict(os.environ)
    os.environ.update(QUIET | WATCHFUL)
    small: dict[str, Any] = {"num_cpus": 0, "object_store_memory": OBJECT_STORE_BYTES}
    labels = {MACHINE: digest("the head's")}
    cluster: Any = Cluster(initialize_head=True, head_node_args=small | {"include_dashboard": False, "labels": labels})
    cluster.add_node(**small, resources={NODE_RESOURCE: 1})
    ray.init(address=cluster.address, namespace="test", log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def placement(cluster: Any) -> RayPlacement:
    """In a namespace of its own, so that every test has its own shards."""
    return RayPlacement(f"test-{uuid4().hex}", factory)


async def test_a_driver_listens_for_no_errors_of_others_which_would_take_a_processor_while_the_head_is_away(
    cluster: Any,
) -> None:
    connect("test", head=cluster.address, address=cluster.head_node.node_ip_address)
    worker = cast("Any", ray)._private.worker.global_worker
    publish_error_to_driver("test", "an error of another process", gcs_client=worker.gcs_client)
    await until(lambda: not worker.listener_thread.is_alive(), within_s=DEADLINE_S)


async def process_of(shard: ShardHandle) -> int:
    return (await shard.status()).owned[0]


async def answering(shard: ShardHandle) -> int | None:
    """Its process id, or None while it does not answer."""
    try:
        async with asyncio.timeout(5):
            return await process_of(shard)
    except (Unavailable, TimeoutError):
        return None


async def test_only_nodes_that_may_host_shards_are_told(cluster: Any, placement: RayPlacement) -> None:
    (worker,) = cluster.worker_nodes
    assert await placement.nodes() == [worker.node_id]
    assert len(cluster.list_all_nodes()) == 2, "the head is one too"


async def test_every_shard_runs_in_a_process_of_its_own_on_its_node(placement: RayPlacement) -> None:
    shards = await placement.ensure_shards((await placement.nodes())[0], 2)
    statuses = [await shard.status() for shard in shards]
    assert [(status.name, status.node) for status in statuses] == [(shard.name, shard.node) for shard in shards]
    processes = {status.owned[0] for status in statuses}
    assert len(processes) == 2
    assert os.getpid() not in processes
    await shards[0].claim([5, 6])
    await shards[0].release([5])
    assert set((await shards[0].status()).owned) == {0, 6}


async def test_a_coordinator_that_comes_later_finds_the_shards_that_run(placement: RayPlacement) -> None:
    node = (await placement.nodes())[0]
    (shard,) = await placement.ensure_shards(node, 1)
    await shard.claim([7])
    later = RayPlacement(placement._namespace, factory)
    (found,) = await later.ensure_shards(node, 1)
    assert await found.status() == await shard.status()


async def test_a_shard_whose_process_is_killed_starts_again_by_itself_with_nothing(placement: RayPlacement) -> None:
    (shard,) = await placement.ensure_shards((await placement.nodes())[0], 1)
    await shard.claim([7])
    before = await process_of(shard)
    os.kill(before, signal.SIGKILL)
    await until(lambda: _is_another(shard, before), within_s=DEADLINE_S, why="the shard did not come back")
    assert set((await shard.status()).owned) == {0}
    await shard.claim([7])


async def _is_another(shard: ShardHandle, before: int) -> bool:
    return await answering(shard) not in (None, before)


async def test_what_a_shard_refuses_is_told_with_its_reason(placement: RayPlacement) -> None:
    (shard,) = await placement.ensure_shards((await placement.nodes())[0], 1)
    with pytest.raises(Unavailable, match="the database is away"):
        await shard.claim([REFUSED])
    assert await answering(shard) is not None


async def test_a_shard_that_cannot_start_says_why(placement: RayPlacement) -> None:
    in_vain = RayPlacement(placement._namespace, factory_in_vain)
    (shard,) = await in_vain.ensure_shards((await placement.nodes())[0], 1)
    for _ in range(2):
        with pytest.raises(Unavailable, match="cannot reach its database"):
            await shard.status()


async def test_an_actor_that_should_not_share_the_heads_machine_runs_on_another_where_there_is_one(
    cluster: Any, placement: RayPlacement
) -> None:
    small = {"num_cpus": 0, "object_store_memory": OBJECT_STORE_BYTES, "resources": {"room": 1}}

    async def nodes_of(*names: str) -> set[str]:
        actors = [
            host(name, placement._namespace, factory_here(name), resources={"room": 0.01}, **apart_from_head())
            for name in names
        ]
        return {(await RayShard(name, "", actor).status()).node for name, actor in zip(names, actors, strict=True)}

    beside = cluster.add_node(**small, labels={MACHINE: digest("the head's")})
    assert await nodes_of("first") == {beside.node_id}
    elsewhere = cluster.add_node(**small, labels={MACHINE: digest("another")})
    assert await nodes_of("second", "third", "fourth") == {elsewhere.node_id}
    for node in (beside, elsewhere):
        await asyncio.to_thread(cluster.remove_node, node)


async def test_an_actor_beside_the_head_ends_once_there_is_another_machine_and_is_made_anew_there(
    cluster: Any, placement: RayPlacement
) -> None:
    small = {"num_cpus": 0, "object_store_memory": OBJECT_STORE_BYTES, "resources": {"room": 1, NODE_RESOURCE: 1}}

    def made() -> RayShard:
        options = {"resources": {"room": 0.01}} | apart_from_head()
        return RayShard("apart", "", host("apart", placement._namespace, start_apart, **options))

    beside = cluster.add_node(**small, labels={MACHINE: digest("the head's")})
    first = made()
    assert (await first.status()).node == beside.node_id
    elsewhere = cluster.add_node(**small, labels={MACHINE: digest("another")})
    await until(lambda: _is_gone(first), within_s=DEADLINE_S, why="it stays beside the head")
    assert (await made().status()).node == elsewhere.node_id
    for node in (beside, elsewhere):
        await asyncio.to_thread(cluster.remove_node, node)


async def _is_gone(shard: ShardHandle) -> bool:
    try:
        await shard.status()
    except Gone:
        return True
    return False


async def test_a_head_that_does_not_answer_is_told_in_time_and_asked_nothing_more_meanwhile() -> None:
    head, answer = Head(), threading.Event()
    with pytest.raises(Unavailable, match=r"did not answer within 0\.05 s"):
        await head.ask(answer.wait, timeout_s=0.05)
    with pytest.raises(Unavailable, match="has not answered yet"):
        await head.ask(lambda: True)
    answer.set()
    await until(lambda: _answers(head), within_s=DEADLINE_S)


async def _answers(head: Head) -> bool:
    try:
        return await head.ask(lambda: True)
    except Unavailable:
        return False


async def test_while_the_head_is_away_the_nodes_are_those_that_it_named_last(placement: RayPlacement) -> None:
    known = await placement.nodes()
    shards = await placement.ensure_shards(known[0], 1)
    answer = threading.Event()
    try:
        with pytest.raises(Unavailable):
            await placement._head.ask(answer.wait, timeout_s=0.05)
        with pytest.raises(Unavailable):
            await placement._head.ask(ray.nodes)
        assert await placement.nodes() == known
        assert await placement.ensure_shards(known[0], 1) == shards
    finally:
        answer.set()


async def test_who_has_never_heard_of_a_node_cannot_do_without_the_head(placement: RayPlacement) -> None:
    answer = threading.Event()
    try:
        with pytest.raises(Unavailable):
            await placement._head.ask(answer.wait, timeout_s=0.05)
        with pytest.raises(Unavailable, match="has not answered yet"):
            await placement.nodes()
    finally:
        answer.set()


async def test_a_node_that_dies_disappears_and_takes_its_shards_along(cluster: Any, placement: RayPlacement) -> None:
    """The last test: it takes the node away."""
    (worker,) = cluster.worker_nodes
    (shard,) = await placement.ensure_shards(worker.node_id, 1)
    await shard.status()
    await asyncio.to_thread(cluster.remove_node, worker, allow_graceful=False)
    await until(lambda: _is_empty(placement), within_s=DEADLINE_S, why="the dead node is told still")
    assert await answering(shard) is None


async def _is_empty(placement: RayPlacement) -> bool:
    return await placement.nodes() == []
