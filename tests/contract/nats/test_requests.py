"""Request-reply over a real broker: what is too large for it is told, not lost."""

from __future__ import annotations

import pytest
from iot_system.adapters.nats.connection import Client
from iot_system.adapters.nats.requests import NatsRequests
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.history import HistoryQuery, Stretch
from iot_system.domain.questions import GetReadings
from iot_system.domain.registry import Device, Page
from iot_system.errors import TooLarge
from iot_system.ports.clock import SystemClock
from iot_system.services.asking import Asking, answer
from iot_system.services.gateway import ActorGateway
from iot_system.services.shard import Shard

from tests.unit.services.memory_stream import MemoryStream

MAX_PAYLOAD = 8 * 1024 * 1024


@pytest.fixture
def requests(administrator: Client) -> NatsRequests:
    return NatsRequests(administrator)


@pytest.mark.parametrize("size", [MAX_PAYLOAD + 1, 4 * MAX_PAYLOAD])
async def test_an_answer_too_large_for_the_broker_is_refused_with_its_size_and_the_limit(
    requests: NatsRequests, size: int
) -> None:
    empty = len(answer(b"")) + 3  # a long text's length takes so much more

    async def too_much(data: bytes) -> bytes:
        return answer(b"x" * (size - empty))

    await requests.serve(None, too_much)
    with pytest.raises(TooLarge, match=f"has {size} bytes; the broker takes {MAX_PAYLOAD}: ask for less"):
        await Asking(requests, 1).ask(None, GetReadings(HistoryQuery(device="d")), Stretch)


async def test_a_list_of_large_devices_comes_in_as_many_answers_as_it_takes(requests: NatsRequests) -> None:
    store, stream = SqliteStore(":memory:"), MemoryStream()
    await store.start()
    shard = Shard(
        name="s",
        node="n",
        store=store,
        stream=stream,
        requests=requests,
        clock=SystemClock(),
        partitions=1,
        stream_id="first",
    )
    await shard.start()
    await shard.claim([0])
    gateway = ActorGateway(
        stream,
        requests,
        SystemClock(),
        events=stream.events,
        readings=stream.readings,
        partitions=1,
        admin_token=None,
    )
    labels = {f"{number:0128}": "x" * 128 for number in range(64)}
    ids = [f"d{number:04}" for number in range(600)]
    for start in range(0, len(ids), 200):
        await gateway.import_devices([Device(id=id_, labels=labels) for id_ in ids[start : start + 200]])
    pages: list[Page] = []
    while not pages or pages[-1].cursor is not None:
        cursor = pages[-1].cursor if pages else None
        pages.append(await gateway.list_devices(room=None, label=None, limit=1000, cursor=cursor))
    assert [device.id for page in pages for device in page.items] == ids
    assert len(pages) > 1
    await shard.stop()
    await store.stop()
