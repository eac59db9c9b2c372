"""Who sees which events."""

from __future__ import annotations

import asyncio

from chart_harness.waiting import until
from iot_system.domain.access import Principal, Scope
from iot_system.domain.questions import RoomView
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import RoomState
from iot_system.services.asking import answer

from tests.unit.services.answering import PARTITIONS
from tests.unit.services.hearing import DEADLINE_S, TWINS, Served, take, times
from tests.unit.services.memory_requests import MemoryRequests


async def test_a_device_sees_itself_and_those_that_it_is_the_gateway_of(served: Served) -> None:
    served.devices = {id_: Device(id=id_, gateway=gateway) for id_, gateway in (("one", None), ("two", "one"))}
    served.devices["three"] = Device(id="three")
    listening = await served.hub.listen(Principal("device", "one"), TWINS)
    for number, device in enumerate(["three", "one", "two", "gone", "one"]):
        served.happen(number, device=device)
    served.happen(5, device=None, room="lab")
    served.happen(6)
    assert times(await take(listening, 4)) == [1, 2, 4, 6]


async def test_scopes_narrow_what_a_person_sees(served: Served) -> None:
    served.devices = {"one": Device(id="one", room="lab"), "two": Device(id="two", labels={"floor": "2"})}
    viewer = Principal("viewer", "v", (Scope("room", "lab"), Scope("label", "floor=2")))
    listening = await served.hub.listen(viewer, TWINS)
    served.happen(1, device="one")
    served.happen(2, device="three")
    served.happen(3, device="two")
    served.happen(4, device="gone", room="lab")
    served.happen(5, device=None, room="lab")
    assert times(await take(listening, 4)) == [1, 3, 4, 5]


async def test_who_may_see_a_room_by_its_labels_is_asked_once_for_some_seconds(served: Served) -> None:
    room, asked = Room(id="lab", labels={"floor": "2"}), 0

    async def on_question(data: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return answer(RoomView(room, RoomState()))

    for partition in range(PARTITIONS):
        await MemoryRequests(served.board).serve(partition, on_question)
    viewer = Principal("viewer", "v", (Scope("label", "floor=2"),))
    listening = await served.hub.listen(viewer, TWINS)
    for number in range(1, 4):
        served.happen(number, device=None, room="lab")
    assert times(await take(listening, 3)) == [1, 2, 3]
    assert asked == 1
    room = Room(id="lab")
    await asyncio.sleep(5)
    served.happen(4, device=None, room="lab")
    last = asyncio.create_task(take(listening, 1))
    await until(lambda: asked == 2, within_s=DEADLINE_S)
    room = Room(id="lab", labels={"floor": "2"})
    await asyncio.sleep(5)
    served.happen(5, device=None, room="lab")
    assert times(await last) == [5]
