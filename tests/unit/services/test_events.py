"""The hub of events: nothing is missed, what may be missing is told, and a slow reader costs nobody anything."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from chart_harness.waiting import until
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.domain.access import Principal, Scope
from iot_system.domain.events import Event, NewReadings, encode_events
from iot_system.domain.questions import RoomView
from iot_system.domain.registry import Device, Room
from iot_system.domain.twin import RoomState
from iot_system.errors import Overloaded, Unavailable
from iot_system.ports.events import Gap, Occurrence, Position, Selection
from iot_system.services import events as events_module
from iot_system.services.asking import Asking, answer
from iot_system.services.events import LINGER_S, LISTENING_S, SELDOM_HEARD, Hub
from iot_system.services.listening import QUEUE_BYTES_LIMIT, QUEUE_LIMIT, TOO_SLOW, HubListening
from iot_system.services.rooms import ActorRooms
from iot_system.services.tail import DROPPED, LOST, UNREADABLE

from tests.unit.services.answering import PARTITIONS
from tests.unit.services.memory_log import MemoryLog
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.simulated_loop import simulate

ADMIN = Principal("admin", "admin")
TWINS = Selection(kinds=frozenset({"twin"}))
ALL = Selection()
DEADLINE_S = 60.0


class Served:
    """A hub over two streams in memory."""

    def __init__(self) -> None:
        self.events, self.readings = MemoryLog(), MemoryLog()
        self.board = Switchboard()
        self.devices: dict[str, Device] = {}
        self.heard: list[float] = []
        self.hub = Hub(
            self.events,
            self.readings,
            MemoryRequests(self.board),
            registered=self._registered,
            rooms=ActorRooms(Asking(MemoryRequests(self.board), PARTITIONS)),
            partition_of=lambda _: 0,
        )
        self.board.on_listening.append(lambda: self.heard.append(asyncio.get_running_loop().time()))

    async def _registered(self, id_: str) -> Device | None:
        return self.devices.get(id_)

    def happen(self, *numbers: int, device: str | None = "one", room: str | None = None, kind: Any = "twin") -> None:
        """One message that tells all of ``numbers``."""
        told = [Event(kind=kind, time_us=number, device=device, room=room) for number in numbers]
        self.events.append(encode_events(told))

    def read(self, number: int, device: str = "one") -> None:
        """One new reading."""
        self.readings.append(msgspec.msgpack.encode([NewReadings(device, None, number, {"t": number})]))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    one = Served()
    await one.hub.start()
    yield one
    await one.hub.stop()


async def take(listening: HubListening, count: int) -> list[Occurrence | Gap]:
    """The next ``count``, within the deadline."""
    found: list[Occurrence | Gap] = []
    for _ in range(count):
        one = await listening.next(timeout_s=DEADLINE_S)
        assert one is not None, found
        found.append(one)
    return found


def times(found: list[Occurrence | Gap]) -> list[int | str]:
    return [one.reason if isinstance(one, Gap) else one.time_us for one in found]


async def test_what_happens_from_now_on_comes_in_its_order(served: Served) -> None:
    served.happen(1)
    listening = await served.hub.listen(ADMIN, ALL)
    served.happen(2, 3)
    served.happen(4)
    assert times(await take(listening, 3)) == [2, 3, 4]
    served.read(5)
    (reading,) = await take(listening, 1)
    assert isinstance(reading, Occurrence)
    assert (reading.kind, reading.device, reading.data) == ("reading", "one", {"t": 5})
    assert await listening.next(timeout_s=1) is None
    assert not listening.is_over


async def test_a_selection_leaves_out_what_it_does_not_name(served: Served) -> None:
    chosen = Selection(devices=frozenset({"one"}), rooms=frozenset({"lab"}), kinds=frozenset({"twin", "alert"}))
    listening = await served.hub.listen(ADMIN, chosen)
    served.happen(1, room="lab", kind="command")
    served.happen(2, room="hall")
    served.happen(3, device="two", room="lab")
    served.happen(4, room="lab")
    served.happen(5, room="lab", kind="alert")
    assert times(await take(listening, 2)) == [4, 5]


async def test_who_resumes_gets_all_that_happened_meanwhile_and_then_what_comes(served: Served) -> None:
    first = await served.hub.listen(ADMIN, TWINS)
    served.happen(1)
    (last,) = await take(first, 1)
    first.close()
    served.happen(2)
    served.happen(3, kind="command")
    served.happen(4)
    again = await served.hub.listen(ADMIN, TWINS, after=last.position)
    served.happen(5)
    assert times(await take(again, 3)) == [2, 4, 5]


async def test_who_resumes_in_the_middle_of_a_message_gets_the_rest_of_it(served: Served) -> None:
    listening = await served.hub.listen(ADMIN, TWINS)
    served.happen(1, 2, 3)
    found = await take(listening, 3)
    again = await served.hub.listen(ADMIN, TWINS, after=found[1].position)
    assert {2, 3}.intersection(times(await take(again, 3))) >= {3}
    behind = await served.hub.listen(ADMIN, TWINS, after=found[2].position)
    served.happen(4)
    assert times(await take(behind, 1)) == [4]


async def test_what_the_stream_has_dropped_is_told_as_a_gap(served: Served) -> None:
    for number in range(1, 6):
        served.happen(number)
    served.events.drop(3)
    listening = await served.hub.listen(ADMIN, TWINS, after=Position(1, 0))
    assert times(await take(listening, 3)) == [DROPPED, 4, 5]


async def test_a_stream_that_was_emptied_is_a_gap_and_what_comes_is_heard(served: Served) -> None:
    for number in range(1, 4):
        served.happen(number)
    await until(lambda: served.hub.position.events == 3, within_s=DEADLINE_S)
    served.events.drop(3)
    listening = await served.hub.listen(ADMIN, TWINS, after=Position(1, 0))
    assert times(await take(listening, 1)) == [DROPPED]
    served.happen(4)
    assert times(await take(listening, 1)) == [4]


async def test_a_position_of_a_stream_that_was_lost_is_a_gap_and_all_there_is(served: Served) -> None:
    served.happen(1)
    await until(lambda: served.hub.position == Position(1, 0), within_s=DEADLINE_S)
    listening = await served.hub.listen(ADMIN, TWINS, after=Position(70, 0))
    assert times(await take(listening, 2)) == [LOST, 1]


async def test_a_stream_that_is_lost_while_somebody_listens_is_told_to_them(served: Served) -> None:
    listening = await served.hub.listen(ADMIN, TWINS)
    served.events.replace()
    assert times(await take(listening, 1)) == [LOST]
    served.happen(1)
    assert times(await take(listening, 1)) == [1]


async def test_a_message_of_another_version_is_a_gap(served: Served) -> None:
    listening = await served.hub.listen(ADMIN, TWINS)
    served.events.append(b"\xc1")
    served.happen(2)
    assert times(await take(listening, 2)) == [UNREADABLE, 2]


async def test_a_reader_that_is_too_slow_is_ended_with_a_gap_and_can_resume_there(served: Served) -> None:
    slow = await served.hub.listen(ADMIN, TWINS)
    quick = await served.hub.listen(ADMIN, TWINS)
    for number in range(QUEUE_LIMIT + 10):
        served.happen(number)
        assert times(await take(quick, 1)) == [number]
    found: list[Occurrence | Gap] = []
    while not slow.is_over:
        found += await take(slow, 1)
    assert times(found) == [*range(QUEUE_LIMIT), TOO_SLOW]
    again = await served.hub.listen(ADMIN, TWINS, after=found[-1].position)
    assert times(await take(again, 10)) == list(range(QUEUE_LIMIT, QUEUE_LIMIT + 10))


async def test_what_waits_for_a_reader_is_bounded_in_bytes_too(served: Served) -> None:
    listening = await served.hub.listen(ADMIN, TWINS)
    large = Event(kind="twin", time_us=1, device="one", data={"reported": "x" * (QUEUE_BYTES_LIMIT // 3)})
    for _ in range(4):
        served.events.append(encode_events([large]))
    await until(lambda: served.hub.position.events == 4, within_s=DEADLINE_S)
    assert times(await take(listening, 3)) == [1, 1, TOO_SLOW]
    assert listening.is_over


async def test_readings_are_followed_while_somebody_wants_them_and_a_little_longer(served: Served) -> None:
    await (await served.hub.listen(ADMIN, TWINS)).next(timeout_s=60)
    assert served.heard == []
    assert served.readings.readers == 0
    listening = await served.hub.listen(ADMIN, ALL)
    await asyncio.sleep(100)
    assert len(served.heard) >= 100 / LISTENING_S
    assert served.readings.readers == 1
    listening.close()
    await asyncio.sleep(LINGER_S + 2 * LISTENING_S)
    assert served.readings.readers == 0
    said = len(served.heard)
    await asyncio.sleep(100)
    assert len(served.heard) == said


async def test_who_comes_back_soon_misses_no_reading_and_who_comes_late_is_told(served: Served) -> None:
    listening = await served.hub.listen(ADMIN, ALL)
    served.read(1)
    (last,) = await take(listening, 1)
    listening.close()
    served.read(2)
    await asyncio.sleep(LINGER_S / 2)
    soon = await served.hub.listen(ADMIN, ALL, after=last.position)
    assert times(await take(soon, 1)) == [2]
    soon.close()
    await asyncio.sleep(LINGER_S * 2)
    served.read(3)
    late = await served.hub.listen(ADMIN, ALL, after=last.position)
    assert times(await take(late, 3)) == [SELDOM_HEARD, 2, 3]


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


async def test_while_the_streams_cannot_be_read_nobody_listens_in_vain() -> None:
    served = Served()
    served.events.is_away = True
    await served.hub.start()
    with pytest.raises(Unavailable):
        await served.hub.listen(ADMIN, TWINS)
    served.events.is_away = False
    listening = await served.hub.listen(ADMIN, TWINS)
    served.happen(1)
    assert times(await take(listening, 1)) == [1]
    await served.hub.stop()


async def test_one_more_reader_than_a_process_takes_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "LISTENINGS_LIMIT", 2)
    first = await served.hub.listen(ADMIN, TWINS)
    await served.hub.listen(ADMIN, TWINS)
    with pytest.raises(Overloaded, match="2 readers of events are here"):
        await served.hub.listen(ADMIN, TWINS)
    first.close()
    await served.hub.listen(ADMIN, TWINS)


async def test_stop_ends_every_listening_at_once(served: Served) -> None:
    listening = await served.hub.listen(ADMIN, ALL)
    waiting = asyncio.create_task(listening.next(timeout_s=3000))
    await asyncio.sleep(1)
    await served.hub.stop()
    assert await waiting is None
    assert listening.is_over


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_readers_that_come_and_go_miss_nothing(seed: int) -> None:
    chance = random.Random(seed)

    async def write(served: Served) -> None:
        for number in range(60):
            served.happen(number) if chance.random() < 0.6 else served.read(number)
            await asyncio.sleep(chance.choice([0, 0, 0.01]))

    async def run() -> None:
        served = Served()
        await served.hub.start()
        listening = await served.hub.listen(ADMIN, ALL)
        start = listening.position
        writing = asyncio.create_task(write(served))
        seen: set[int] = set()
        after = start
        while len(seen) < 60:
            one = await listening.next(timeout_s=DEADLINE_S)
            assert isinstance(one, Occurrence)
            seen.add(one.time_us)
            after = one.position
            if chance.random() < 0.3:
                listening.close()
                listening = await served.hub.listen(ADMIN, ALL, after=after)
        await writing
        assert seen == set(range(60))
        await served.hub.stop()

    simulate(run())


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
