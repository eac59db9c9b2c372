"""Down-sampling, against a computation of its own."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import count
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from iot_system.domain.history import AggregateName, Bucket, HistoryQuery, Reading
from iot_system.domain.readings import Value
from iot_system.errors import InvalidInput

from tests.contract.store.owner import Owner

ALL: tuple[AggregateName, ...] = get_args(AggregateName)
HOUR_US = 3_600_000_000
_numbers = count()

values = st.one_of(
    st.floats(-1e6, 1e6), st.integers(-(2**53), 2**53), st.booleans(), st.sampled_from(["x", ""]), st.just({"a": 1})
)
readings = st.dictionaries(
    st.tuples(st.sampled_from(["t", "co2", "ä"]), st.integers(0, 60 * HOUR_US)), values, max_size=40
)
queries = st.fixed_dictionaries(
    {
        "interval_us": st.sampled_from([1_000_000, 7 * 60_000_000, HOUR_US, 24 * HOUR_US, 366 * 24 * HOUR_US]),
        "from_us": st.integers(0, 40 * HOUR_US),
        "to_us": st.integers(20 * HOUR_US, 2**62),
        "descending": st.booleans(),
        "metrics": st.sampled_from([(), ("t",), ("co2", "t"), ("unknown",)]),
        "aggregates": st.sampled_from([ALL, ("avg",), ("last", "count"), ("min", "max")]),
    }
)


def expected(device: str, taken: list[Reading], query: HistoryQuery) -> list[Bucket]:
    assert query.interval_us is not None
    groups: dict[tuple[int, str], list[Reading]] = defaultdict(list)
    for one in sorted(taken, key=lambda one: one.time_us):
        if query.from_us <= one.time_us < query.to_us and (not query.metrics or one.metric in query.metrics):
            groups[one.time_us - one.time_us % query.interval_us, one.metric].append(one)
    return [
        Bucket(
            metric=metric, time_us=start, **{name: summary(groups[start, metric])[name] for name in query.aggregates}
        )
        for start, metric in sorted(groups, reverse=query.descending)
    ]


def summary(group: list[Reading]) -> dict[str, Any]:
    numbers = [float(one.value) for one in group if type(one.value) in (float, int)]  # type: ignore[arg-type]
    return {
        "avg": math.fsum(numbers) / len(numbers) if numbers else None,
        "min": min(numbers, default=None),
        "max": max(numbers, default=None),
        "sum": math.fsum(numbers) if numbers else None,
        "count": len(group),
        "last": group[-1].value,
    }


def same(one: Bucket, other: Bucket) -> bool:
    """Sums may differ in the last digits: nobody says in which order a database adds."""
    scale = max(abs(other.min or 0.0), abs(other.max or 0.0), 2.0**53)
    return all(
        left == right or (name in ("avg", "sum") and math.isclose(left, right, rel_tol=1e-9, abs_tol=scale * 1e-9))
        for name in ("metric", "time_us", *ALL)
        for left, right in [(getattr(one, name), getattr(other, name))]
    )


@given(taken=readings, query=queries, limit=st.integers(1, 5))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_buckets_are_what_the_readings_in_them_give(
    owner: Owner, taken: dict[tuple[str, int], Value], query: dict[str, Any], limit: int
) -> None:
    device = f"d{next(_numbers)}"
    await owner.register(device)
    stored = [Reading(device, metric, time_us, value) for (metric, time_us), value in taken.items()]
    await owner.commit(stored)
    whole = HistoryQuery(device=device, limit=10_000, **query)
    wanted = expected(device, stored, whole)
    found = (await owner.store.buckets(whole)).items
    assert len(found) == len(wanted)
    assert all(same(one, other) for one, other in zip(found, wanted, strict=True))
    # Page by page the same.
    paged: list[Bucket] = []
    after = None
    while len(paged) <= len(wanted):
        page = await owner.store.buckets(HistoryQuery(device=device, limit=limit, after=after, **query))
        paged += page.items
        if not page.more:
            break
        after = (page.items[-1].time_us, page.items[-1].metric)
    assert [(one.time_us, one.metric, one.count) for one in paged] == [(o.time_us, o.metric, o.count) for o in found]


async def test_a_bucket_without_numbers_counts_and_has_its_last_value(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", 1, True), Reading("d", "m", 3, "x"), Reading("d", "m", 2, 5 * "y")])
    (bucket,) = (await owner.store.buckets(HistoryQuery(device="d", interval_us=10, aggregates=ALL))).items
    assert bucket == Bucket(metric="m", time_us=0, count=3, last="x")


async def test_the_last_value_keeps_its_type(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", metric, 1, value) for metric, value in {"a": 2, "b": 2.0, "c": False}.items()])
    found = (await owner.store.buckets(HistoryQuery(device="d", interval_us=10, aggregates=("last",)))).items
    assert [(type(one.last), one.last) for one in found] == [(int, 2), (float, 2.0), (bool, False)]


async def test_whole_numbers_add_up_beyond_64_bits(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", time_us, 2**53) for time_us in range(2000)])
    (bucket,) = (await owner.store.buckets(HistoryQuery(device="d", interval_us=HOUR_US, aggregates=ALL))).items
    assert (bucket.sum, bucket.avg) == (2000 * 2.0**53, 2.0**53)


async def test_the_mean_of_numbers_far_apart_is_their_mean(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", 1, 1e200), Reading("d", "m", 2, -1e200)])
    (bucket,) = (await owner.store.buckets(HistoryQuery(device="d", interval_us=HOUR_US))).items
    assert bucket.avg == 0.0


async def test_a_sum_beyond_all_numbers_is_refused_and_the_rest_answered(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit([Reading("d", "m", time_us, 1.7e308) for time_us in (1, 2)])
    with pytest.raises(InvalidInput, match="a sum over 'd' is larger than any number"):
        await owner.store.buckets(HistoryQuery(device="d", interval_us=HOUR_US, aggregates=("avg",)))
    (bucket,) = (
        await owner.store.buckets(HistoryQuery(device="d", interval_us=HOUR_US, aggregates=("max", "count")))
    ).items
    assert (bucket.max, bucket.count) == (1.7e308, 2)
