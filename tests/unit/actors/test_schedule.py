"""When actors are due: the earliest first, each at its newest time alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from iot_system.actors.schedule import SLACK, Schedule
from iot_system.domain.addresses import Address

addresses = st.builds(Address, st.sampled_from(["device", "room"]), st.sampled_from("abc"))


@given(
    st.dictionaries(addresses, st.integers(0, 20)),
    st.lists(st.tuples(addresses, st.none() | st.integers(0, 20))),
    st.integers(0, 20),
    st.integers(1, 8),
)
def test_the_due_are_those_whose_newest_time_has_come(
    claimed: dict[Address, int], changes: list[tuple[Address, int | None]], now_us: int, limit: int
) -> None:
    schedule, expected = Schedule(claimed), dict(claimed)
    for address, due_us in changes:
        schedule.set(address, due_us)
        expected.pop(address, None)
        if due_us is not None:
            expected[address] = due_us
    assert schedule.next_us() == min(expected.values(), default=None)
    due = schedule.due(now_us, limit)
    times = [expected[address] for address in due]
    assert times == sorted(time_us for time_us in expected.values() if time_us <= now_us)[:limit]
    assert schedule.due(now_us, limit) == due, "looking makes nobody less due"


def test_a_timer_that_is_set_again_and_again_costs_no_memory() -> None:
    schedule = Schedule({})
    for due_us in range(10 * SLACK):
        schedule.set(Address("device", "d"), due_us)
    assert len(schedule._heap) <= SLACK + 3
    assert schedule.due(10 * SLACK, 5) == [Address("device", "d")]
