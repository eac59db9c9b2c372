"""The devices whose actors are measured."""

from __future__ import annotations

from pathlib import Path

from iot_system.adapters.stores import open_store
from iot_system.domain.ids import partition_of

from bench.actors.activating import activate
from bench.actors.messages import Conversation
from bench.actors.registered import register
from bench.actors.through_shard import updater
from bench.workload import device


def test_a_conversation_goes_on_so_that_no_message_is_sent_again() -> None:
    conversation = Conversation(devices=3)
    first, second = conversation.next(5, metrics=1), conversation.next(5, metrics=6)
    assert (len(first), len(second)) == (6, 6), "as many of each device"
    assert max(one.time_us for one in first) < min(one.time_us for one in second)
    assert ({len(one.values) for one in first}, {len(one.values) for one in second}) == ({1}, {6})


async def test_devices_that_were_registered_are_activated_with_what_they_have_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/iot.db"
    store = open_store(url)
    await store.start()
    await register(store, 10, partitions=1, metrics=6)
    _, state, _ = (await store.load_devices([device(7)]))[device(7)]
    await store.stop()
    assert len(state.latest) == 6
    activated = await activate(url, 10, traced=True)
    assert activated.devices == 10
    assert activated.traced_bytes is not None
    assert activated.traced_bytes > 0


async def test_the_shard_that_is_measured_commits_every_message() -> None:
    messages = Conversation(devices=8).next(80, metrics=2)
    async with updater(8) as shard:
        await shard.update(messages)
        owned = shard.shard.partition(partition_of(device(0), 4))
        newest = owned.actors.devices[device(0)].state.latest
    assert {one.time_us for one in newest.values()} == {max(one.time_us for one in messages)}
