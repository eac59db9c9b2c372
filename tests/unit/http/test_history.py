from __future__ import annotations

from typing import Any

import pytest

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

TS = 1_700_000_100_000  # a multiple of 5 minutes
MINUTE = 60_000


async def fill(served: Served) -> list[dict[str, Any]]:
    """Store 20 minutes of two metrics; returns the expected items in ascending order."""
    await served.register("one")
    messages: list[dict[str, Any]] = [
        {"ts": TS + number * MINUTE, "values": {"a": number, "b": f"text {number}"}} for number in range(20)
    ]
    assert (await served.admin.post("/v1/devices/one/telemetry", json=messages)).status_code == 202
    return [
        {"metric": metric, "ts": message["ts"], "value": message["values"][metric]}
        for message in messages
        for metric in "ab"
    ]


async def pages(served: Served, **params: Any) -> list[dict[str, Any]]:
    """All items over all pages."""
    items: list[dict[str, Any]] = []
    while True:
        response = await served.admin.get("/v1/devices/one/telemetry", params=params)
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        if page["cursor"] is None:
            return items
        assert len(page["items"]) == params["limit"]
        params["cursor"] = page["cursor"]


@pytest.mark.parametrize("limit", [1, 7, 20, 1000])
async def test_all_readings_come_back_once_whatever_the_page(served: Served, limit: int) -> None:
    expected = await fill(served)
    assert await pages(served, limit=limit) == expected
    assert await pages(served, limit=limit, order="desc") == expected[::-1]


async def test_readings_are_chosen_by_metric_and_time(served: Served) -> None:
    expected = await fill(served)
    assert await pages(served, limit=1000, metric="b") == [one for one in expected if one["metric"] == "b"]
    assert await pages(served, limit=1000, metric=["a", "b"]) == expected
    bounds = {"from": TS + 5 * MINUTE, "to": TS + 7 * MINUTE}
    assert await pages(served, limit=1000, **bounds) == expected[10:14]


@pytest.mark.parametrize(
    "moment",
    [
        "1700000400000",
        "1700000400000.0",
        "2023-11-14T22:20:00Z",
        "2023-11-14T23:20:00.000+01:00",
    ],
)
async def test_a_moment_is_given_in_milliseconds_or_as_rfc_3339(served: Served, moment: str) -> None:
    expected = await fill(served)
    assert await pages(served, limit=1000, **{"from": moment}) == expected[10:]


async def test_down_sampling_gives_the_aggregates_asked_for(served: Served) -> None:
    await fill(served)
    found = await pages(
        served,
        limit=3,
        interval="5m",
        aggregate="avg,min,max,sum,count,last",
        metric="a",
    )
    assert found == [
        {
            "metric": "a",
            "ts": TS + start * MINUTE,
            "avg": start + 2,
            "min": start,
            "max": start + 4,
            "sum": 5 * start + 10,
            "count": 5,
            "last": start + 4,
        }
        for start in (0, 5, 10, 15)
    ]


async def test_the_average_is_the_aggregate_by_default_and_null_without_numbers(
    served: Served,
) -> None:
    await fill(served)
    found = await pages(served, limit=1000, interval="1h")
    assert [set(one) for one in found] == [{"metric", "ts", "avg"}] * len(found)
    assert {one["avg"] for one in found if one["metric"] == "b"} == {None}


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        (
            {"from": "yesterday"},
            "from is 'yesterday'; it is milliseconds since 1970, or a time such as",
        ),
        ({"from": "2023-11-14T22:20:00"}, "from is '2023-11-14T22:20:00'"),
        ({"from": "-1"}, "from is '-1'; it lies from 0"),
        ({"to": "999999999999999999"}, "to is '999999999999999999'; it lies from 0"),
        (
            {"to": "0001-01-01T00:00:00Z"},
            "to is '0001-01-01T00:00:00Z'; it lies from 0",
        ),
        ({"from": "2000", "to": "1000"}, "from is 2000, which is after to (1000)"),
        ({"order": "up"}, "order is 'up'; it is asc or desc"),
        ({"limit": "0"}, "limit is '0': expected `int` >= 1"),
        ({"limit": "10001"}, "limit is '10001': expected `int` <= 10000"),
        ({"metric": ""}, "metric is ''; a name has 1 to 128"),
        ({"metric": "x" * 129}, "a name has 1 to 128 printable characters"),
        ({"interval": "5"}, "interval is '5'; it lies from 1s to 366d"),
        ({"interval": "0s"}, "interval is '0s'; it lies from 1s to 366d"),
        ({"interval": "367d"}, "interval is '367d'; it lies from 1s to 366d"),
        (
            {"interval": "5m", "aggregate": "median"},
            "aggregate is 'median'; it is some of avg, min, max",
        ),
        ({"interval": "5m", "aggregate": "avg,avg"}, "each once"),
        ({"aggregate": "avg"}, "aggregate needs interval"),
        ({"cursor": "abc"}, "cursor is 'abc', which no answer gave"),
        ({"cursor": "\xe9"}, "which no answer gave"),
        ({"cursor": "WzEsImEiLHRydWUsbnVsbF0"}, "cursor belongs to another query"),
        ({"metrics": "a"}, "query parameter 'metrics' is not known"),
    ],
    ids=str,
)
async def test_a_bad_parameter_is_named_with_its_value_and_limit(
    served: Served, params: dict[str, str], detail: str
) -> None:
    await served.register("one")
    response = await served.admin.get("/v1/devices/one/telemetry", params=params)
    assert detail in problem(response, 400, "invalid-input")["detail"]


async def test_history_of_an_unknown_device_is_not_found(served: Served) -> None:
    problem(await served.admin.get("/v1/devices/none/telemetry"), 404, "not-found")
    problem(
        await served.admin.get("/v1/devices/none/telemetry?interval=5m"),
        404,
        "not-found",
    )
