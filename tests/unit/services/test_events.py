"""The hub of events: nothing is missed, by whoever comes, goes and resumes."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from iot_system.errors import Overloaded
from iot_system.ports.events import Occurrence, Selection
from iot_system.services import events as events_module
from iot_system.services.events import LINGER_S, LISTENING_S

from tests.unit.services.hearing import ADMIN, ALL, DEADLINE_S, TWINS, Served, take, times
from tests.unit.services.simulated_loop import simulate


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
