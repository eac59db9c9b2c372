"""What a reader of events may have missed is told, and a slow one costs nobody anything."""

from __future__ import annotations

import asyncio

import pytest
from chart_harness.waiting import until
from iot_system.domain.events import Event, encode_events
from iot_system.errors import Unavailable
from iot_system.ports.events import Gap, Occurrence, Position
from iot_system.services.events import LINGER_S, SELDOM_HEARD
from iot_system.services.listening import QUEUE_BYTES_LIMIT, QUEUE_LIMIT, TOO_SLOW
from iot_system.services.tail import DROPPED, LOST, UNREADABLE

from tests.unit.services.hearing import ADMIN, ALL, DEADLINE_S, TWINS, Served, take, times


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
