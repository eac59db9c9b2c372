"""A batch: the commits that some frames make, one for each partition that they belong to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from iot_system.actors.changes import Changes
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.frames import ActorFrame, DeviceFrame, RoomReadings, encode_frame
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import RoomState
from iot_system.ports.store import PartitionCommit
from iot_system.ports.stream import StreamMessage
from iot_system.services.batch import Batch
from iot_system.services.partition import Partition
from iot_system.services.turn import Share

from tests.unit.services.system import PARTITIONS, ids_of

ONE, OTHER = ids_of(0)[0], ids_of(1)[0]
ROOM = ids_of(2, "room")[0]


class Owner:
    """Partitions 0 and 1 as their owner holds them, with a device each."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.owned: dict[int, Partition] = {}

    async def claim(self) -> None:
        claims = await self.store.claim([0, 1], "owner", "stream")
        self.owned = {number: Partition(claim, of=PARTITIONS) for number, claim in claims.items()}

    async def register(self, id_: str, partition: int, *, room: str | None = None) -> None:
        share = Share(self.owned[partition], Changes())
        share.registered_devices.append(Device(id=id_, room=room))
        await self.commit({partition: share.seal()})

    async def batch(self, *messages: StreamMessage) -> dict[int, PartitionCommit]:
        """What these frames make of each partition."""
        batch = Batch(list(messages), self.owned, now_us=1)
        await batch.load(self.store)
        if batch.asks_history:
            await batch.look_up(self.store)
        for _ in batch.steps():
            pass
        return {share.partition.number: share.seal() for share in batch.shares}

    async def commit(self, commits: dict[int, PartitionCommit]) -> None:
        await self.store.commit(list(commits.values()))
        for number, commit in commits.items():
            self.owned[number].revision, self.owned[number].applied = commit.revision, commit.applied


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    store = SqliteStore(":memory:")
    await store.start()
    owner = Owner(store)
    await owner.claim()
    await owner.register(ONE, 0, room=ROOM)
    await owner.register(OTHER, 1)
    yield owner
    await store.stop()


def frame(partition: int, sequence: int, device: str, *times: int) -> StreamMessage:
    messages = [Telemetry(device, time_us, {"t": time_us}) for time_us in times]
    return StreamMessage(partition, sequence, encode_frame(DeviceFrame(messages)))


async def test_frames_of_a_partition_make_one_commit(owner: Owner) -> None:
    commits = await owner.batch(frame(0, 3, ONE, 1), frame(1, 4, OTHER, 2), frame(0, 7, ONE, 3))
    assert [(number, one.revision, one.applied) for number, one in sorted(commits.items())] == [(0, 2, 7), (1, 2, 4)]
    assert [reading.time_us for reading in commits[0].readings] == [1, 3]
    assert [(one.target, one.number) for one in commits[0].outbox] == [(2, 1)]
    assert commits[1].outbox == []


async def test_what_was_applied_before_and_what_is_not_owned_is_passed_over(owner: Owner) -> None:
    await owner.commit(await owner.batch(frame(0, 3, ONE, 1)))
    batch = await owner.batch(frame(0, 2, ONE, 8), frame(0, 3, ONE, 1), frame(2, 4, ROOM, 9), frame(0, 5, ONE, 2))
    assert [reading.time_us for reading in batch[0].readings] == [2]
    assert list(batch) == [0]


async def test_a_batch_of_nothing_new_commits_nothing(owner: Owner) -> None:
    await owner.commit(await owner.batch(frame(0, 3, ONE, 1)))
    assert await owner.batch(frame(0, 3, ONE, 1)) == {}


async def test_a_frame_that_cannot_be_decoded_moves_its_partition_on_and_is_told(owner: Owner) -> None:
    batch = await owner.batch(StreamMessage(0, 3, b"\xc1"), frame(1, 4, OTHER, 1))
    assert batch[0].applied == 3
    assert batch[0].readings == []
    assert batch[1].readings
    assert "frame 3 cannot be decoded" in (owner.owned[0].last_error or "")


async def test_messages_of_a_device_that_is_gone_are_left_out_and_the_rest_counts(owner: Owner) -> None:
    batch = await owner.batch(frame(0, 1, "gone", 1), frame(0, 2, ONE, 2))
    assert [reading.device for reading in batch[0].readings] == [ONE]


async def test_a_reading_of_an_earlier_frame_of_the_same_batch_is_known(owner: Owner) -> None:
    batch = await owner.batch(frame(0, 1, ONE, 5, 3), frame(0, 2, ONE, 3, 5, 4))
    assert [reading.time_us for reading in batch[0].readings] == [5, 3, 4]


async def test_a_late_reading_that_the_history_has_is_known_after_the_actor_has_left_memory(owner: Owner) -> None:
    await owner.commit(await owner.batch(frame(0, 1, ONE, 5, 3)))
    owner.owned[0].actors.devices.clear()
    batch = await owner.batch(frame(0, 2, ONE, 3, 4))
    assert [reading.time_us for reading in batch[0].readings] == [4]


def room_in(commit: PartitionCommit, room: str) -> RoomState:
    state = commit.rooms[room]
    assert isinstance(state, RoomState)
    return state


async def test_a_message_between_actors_counts_once(owner: Owner) -> None:
    room = ids_of(1, "room")[0]
    data = encode_frame(ActorFrame(0, 1, [RoomReadings(room, [(ONE, 5, {"t": 1.5})])]))
    first = await owner.batch(StreamMessage(1, 1, data), StreamMessage(1, 2, data))
    assert first[1].received == {0: 1}
    assert room_in(first[1], room).metrics["t"].count == 1
    await owner.commit(first)
    again = await owner.batch(StreamMessage(1, 3, data))
    assert again[1].rooms == {}


async def test_a_room_of_the_same_owner_has_its_readings_in_the_same_commit(owner: Owner) -> None:
    device, room = ids_of(0)[1], ids_of(1, "room")[0]
    await owner.register(device, 0, room=room)
    owner.owned[1].actors.activate_room(Room(id=room), RoomState())
    commits = await owner.batch(frame(0, 1, device, 5), frame(0, 2, device, 6))
    assert (commits[0].outbox, commits[0].sent) == ([], {1: 1})
    assert (commits[1].applied, commits[1].received) == (0, {0: 1})
    assert room_in(commits[1], room).metrics["t"].count == 2


async def test_readings_for_a_room_do_not_overtake_those_that_are_on_their_way(owner: Owner) -> None:
    device, room = ids_of(0)[1], ids_of(1, "room")[0]
    await owner.register(device, 0, room=room)
    first = await owner.batch(frame(0, 1, device, 5))
    await owner.commit(first)
    owner.owned[1].actors.activate_room(Room(id=room), RoomState())
    second = await owner.batch(frame(0, 2, device, 6))
    assert [(one.target, one.number) for one in second[0].outbox] == [(1, 2)]
    assert list(second) == [0]
    await owner.commit(second)
    travelled = [StreamMessage(1, 3, first[0].outbox[0].data), StreamMessage(1, 4, second[0].outbox[0].data)]
    third = await owner.batch(frame(0, 5, device, 7), *travelled)
    assert (third[0].outbox, third[1].received) == ([], {0: 3})
    assert room_in(third[1], room).metrics["t"].count == 3
