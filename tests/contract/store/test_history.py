"""Readings: what went in comes out, in order, in pages, for as long as it is kept."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.domain.history import STRETCH_BYTES, AggregateName, HistoryQuery, Reading
from iot_system.domain.readings import INTEGER_LIMIT, Value
from msgspec import structs

from tests.contract.store.owner import Owner

DAY_US = 86_400_000_000
IN_2015_US = 1_423_000_000_000_000
NOW_US = 1_795_600_000_000_000

VALUES: list[Value] = [
    21.5, 21.0, 21, 0, 0.0, -1, 5e-324, 1.7976931348623157e308, 0.1, INTEGER_LIMIT, -INTEGER_LIMIT,
    True, False, "", "true", "21", "with 'quotes', \"more\", \\ and \n lines", "Grüße 🌡", "x" * 65_536,
    {}, [], {"a": 1, "b": 1.0, "c": None, "d": [True, "x", {"e": 1e300}], "ü": "🌡"}, [[[]]], [1, 2.5, 10**15],
    {"z": 1, "a": 2}, {"10": 0, "9": 0}, ["\\u0041", "\u2028"],
]  # fmt: skip


def exactly(value: object) -> Any:
    """``value`` with its types, also inside, and in the order of its keys."""
    if isinstance(value, dict):
        return [(key, exactly(child)) for key, child in value.items()]
    return [exactly(child) for child in value] if isinstance(value, list) else (type(value), repr(value))


async def pages(owner: Owner, **query: Any) -> list[Reading]:
    """All readings, page by page."""
    after: tuple[int, str] | None = None
    found: list[Reading] = []
    for _ in range(1000):
        page = await owner.store.readings(HistoryQuery(device="d", after=after, **query))
        found += page.items
        if not page.more:
            return found
        after = (page.items[-1].time_us, page.items[-1].metric)
    raise AssertionError("the pages do not end")


async def test_values_of_every_kind_come_back_exactly(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", time_us, value) for time_us, value in enumerate(VALUES)])
    stored = [reading.value for reading in (await owner.store.readings(HistoryQuery(device="d"))).items]
    assert [exactly(value) for value in stored] == [exactly(value) for value in VALUES]


MIXED: dict[str, Value] = {
    "text": "x", "whole": 2, "flag": True, "number": 1.5, "json": {"k": 1}, "low": -0.5, "off": False, "minus": -7,
}  # fmt: skip


@pytest.mark.parametrize("metrics", [list(MIXED), ["whole", "flag"], ["number", "low"], ["flag", "off"], ["whole"]])
@pytest.mark.parametrize("count", [1, 20])
async def test_what_a_message_bears_comes_back_one_by_one(owner: Owner, count: int, metrics: list[str]) -> None:
    await owner.register("d", "e")
    readings = [
        Reading(device, metric, time_us, MIXED[metric])
        for device in "de"
        for time_us in range(count)
        for metric in metrics
    ]
    await owner.commit(readings)
    stored = (await owner.store.readings(HistoryQuery(device="e", limit=1000))).items
    ordered = sorted([one for one in readings if one.device == "e"], key=lambda one: (one.time_us, one.metric))
    assert [(one.metric, one.time_us, exactly(one.value)) for one in stored] == [
        (one.metric, one.time_us, exactly(one.value)) for one in ordered
    ]
    unknown = [Reading("e", metric, count, 1.0) for metric in metrics] + [Reading("e", "other", 0, 1.0)]
    assert await owner.store.known([*readings, *unknown]) == {(one.device, one.metric, one.time_us) for one in readings}
    found = await owner.store.readings(HistoryQuery(device="d", metrics=("whole", "low"), limit=1000))
    assert {one.metric for one in found.items} == {"whole", "low"} & set(metrics)


async def test_of_a_message_that_is_there_in_part_the_rest_is_added(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", metric, 1, 1.0) for metric in "ab"])
    await owner.commit([Reading("d", metric, time_us, 2.0) for time_us in (1, 2) for metric in "abc"])
    found = [
        (one.time_us, one.metric, one.value) for one in (await owner.store.readings(HistoryQuery(device="d"))).items
    ]
    assert found == [(1, "a", 1.0), (1, "b", 1.0), (1, "c", 2.0), (2, "a", 2.0), (2, "b", 2.0), (2, "c", 2.0)]


async def test_readings_come_by_time_then_by_the_bytes_of_the_metric(owner: Owner) -> None:
    metrics = ["b", "a", "B", "ä", "10", "9", "a.b", "a b"]
    await owner.register("d", "e")
    readings = [Reading("d", metric, time_us, 1.0) for time_us in (3, 1, 2) for metric in metrics]
    await owner.commit([*readings, Reading("e", "a", 2, 1.0)])
    ordered = sorted(readings, key=lambda one: (one.time_us, one.metric))
    assert (await owner.store.readings(HistoryQuery(device="d"))).items == ordered
    assert (await owner.store.readings(HistoryQuery(device="d", descending=True))).items == ordered[::-1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_leave_nothing_out_and_repeat_nothing(owner: Owner, limit: int, descending: bool) -> None:
    await owner.register("d")
    readings = [Reading("d", metric, day * DAY_US, 1.0) for day in (100, 101, 103) for metric in "abcde"]
    await owner.commit(readings)
    found = await pages(owner, limit=limit, descending=descending)
    assert found == (readings[::-1] if descending else readings)


async def test_a_range_holds_its_beginning_and_not_its_end(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", time_us, time_us) for time_us in range(10)])
    found = (await owner.store.readings(HistoryQuery(device="d", from_us=3, to_us=6))).items
    assert [reading.value for reading in found] == [3, 4, 5]
    assert (await owner.store.readings(HistoryQuery(device="d", from_us=6, to_us=6))).items == []


async def test_only_the_metrics_asked_for_come(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", metric, time_us, 1.0) for time_us in range(3) for metric in "abc"])
    query = HistoryQuery(device="d", metrics=("c", "a", "unknown"), limit=4, after=(0, "a"))
    found = (await owner.store.readings(query)).items
    assert [(one.time_us, one.metric) for one in found] == [(0, "c"), (1, "a"), (1, "c"), (2, "a")]
    assert (await owner.store.readings(HistoryQuery(device="d", metrics=("unknown",)))).items == []


async def test_an_unknown_device_has_no_readings(owner: Owner) -> None:
    assert (await owner.store.readings(HistoryQuery(device="unknown"))).items == []
    assert (await owner.store.buckets(HistoryQuery(device="unknown", interval_us=1))).items == []


async def test_a_reading_stored_again_stays_as_it_was(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", 1, 1.0), Reading("d", "m", 1, 2.0)])
    await owner.commit([Reading("d", "m", 1, "three"), Reading("d", "m", 2, 4.0)])
    assert (await owner.store.readings(HistoryQuery(device="d"))).items == [
        Reading("d", "m", 1, 1.0),
        Reading("d", "m", 2, 4.0),
    ]


async def test_what_is_known_is_known_by_device_metric_and_time(owner: Owner) -> None:
    await owner.register("d", "e")
    stored = [Reading("d", "a", IN_2015_US, 1.0), Reading("d", "b", NOW_US, {"x": 1})]
    await owner.commit(stored)
    others = [
        Reading("d", "a", NOW_US, 1.0),
        Reading("d", "b", IN_2015_US, 1.0),
        Reading("e", "a", IN_2015_US, 1.0),
        Reading("d", "never", IN_2015_US, 1.0),
        Reading("unknown", "a", IN_2015_US, 1.0),
    ]
    asked = [*others, *stored, Reading("d", "a", IN_2015_US, "another value")]
    assert await owner.store.known(asked) == {("d", "a", IN_2015_US), ("d", "b", NOW_US)}
    assert await owner.store.known([]) == set()


async def test_late_readings_take_their_place_in_time(owner: Owner) -> None:
    await owner.register("d")
    await owner.store.maintain(now_us=NOW_US, retention_days=0)
    for time_us in (NOW_US, IN_2015_US, 0, NOW_US - 40 * DAY_US, IN_2015_US + DAY_US):
        await owner.commit([Reading("d", "m", time_us, time_us)])
    found = [reading.time_us for reading in (await owner.store.readings(HistoryQuery(device="d"))).items]
    assert found == [0, IN_2015_US, IN_2015_US + DAY_US, NOW_US - 40 * DAY_US, NOW_US]


async def test_retention_keeps_its_whole_days_and_what_comes(owner: Owner) -> None:
    await owner.register("d")
    midnight_us = NOW_US // DAY_US * DAY_US
    times = [
        IN_2015_US,
        *(midnight_us - back * DAY_US + offset for back in range(5, -1, -1) for offset in (0, DAY_US - 1)),
    ]
    await owner.commit([Reading("d", "m", time_us, 1.0) for time_us in times])
    await owner.store.maintain(now_us=NOW_US, retention_days=0)
    assert len((await owner.store.readings(HistoryQuery(device="d"))).items) == len(times)
    await owner.store.maintain(now_us=NOW_US, retention_days=2)
    kept = [reading.time_us for reading in (await owner.store.readings(HistoryQuery(device="d"))).items]
    assert kept == [time_us for time_us in times if time_us >= midnight_us - 2 * DAY_US]


async def test_what_comes_after_its_day_was_dropped_is_dropped_next_time(owner: Owner) -> None:
    await owner.register("d")
    for value in (1, 2):
        await owner.commit([Reading("d", "m", IN_2015_US, value)])
        assert (await owner.store.readings(HistoryQuery(device="d"))).items == [Reading("d", "m", IN_2015_US, value)]
        await owner.store.maintain(now_us=NOW_US, retention_days=30)
        assert (await owner.store.readings(HistoryQuery(device="d"))).items == []


@pytest.mark.parametrize("descending", [False, True])
async def test_an_answer_ends_at_its_bytes_and_the_next_goes_on_behind_it(owner: Owner, descending: bool) -> None:
    await owner.register("d")
    texts: list[Value] = ["x" * 60_000, ["y" * 60_000], "ü" * 30_000]
    readings = [Reading("d", "m", time_us, texts[time_us % 3]) for time_us in range(150)]
    await owner.commit(readings)
    first = await owner.store.readings(HistoryQuery(device="d", descending=descending))
    assert first.more
    assert 0.9 * STRETCH_BYTES < sum(len(str(one.value).encode()) for one in first.items) <= STRETCH_BYTES
    found = await pages(owner, limit=1000, descending=descending)
    assert found == (readings[::-1] if descending else readings)


async def test_what_is_larger_than_an_answer_s_bytes_comes_alone(owner: Owner) -> None:
    await owner.register("d")
    large = ["x" * 65_536] * (STRETCH_BYTES // 65_536 + 1)
    readings = [Reading("d", "m", 1, 1.0), Reading("d", "m", 2, large), Reading("d", "m", 3, 1.0)]
    await owner.commit(readings)
    assert (await owner.store.readings(HistoryQuery(device="d", from_us=2))).items == readings[1:2]
    assert await pages(owner, limit=1000) == readings


@pytest.mark.parametrize(("aggregate", "is_cut"), [("last", True), ("count", False)])
async def test_buckets_with_their_last_values_end_at_their_bytes_others_do_not(
    owner: Owner, aggregate: AggregateName, is_cut: bool
) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", 10 * number, "x" * 60_000) for number in range(60)])
    query = HistoryQuery(device="d", interval_us=10, aggregates=(aggregate,))
    page = await owner.store.buckets(query)
    assert page.more == is_cut
    rest = await owner.store.buckets(structs.replace(query, after=(page.items[-1].time_us, "m")))
    assert [one.time_us for one in page.items + rest.items] == [10 * number for number in range(60)]
