"""Telemetry of many devices in one request: a bad item is told by its place, and harms no other."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from iot_system.errors import Overloaded, Retry, Unavailable

from tests.unit.http.expected import problem
from tests.unit.http.sending import MSGPACK, NDJSON, TS, stored
from tests.unit.http.serving import Served

BAD = [
    ({"values": {"a": 1}}, "Object missing required field `device`"),
    ({"device": "one"}, "Object missing required field `values`"),
    (
        {"device": "one", "values": {"a": 1}, "time": 5},
        "Object contains unknown field `time`",
    ),
    ({"device": "one", "values": {}}, "values is empty"),
    ({"device": "one", "values": {"a": None}}, "metric 'a' is null"),
    (
        {"device": "one", "values": {"x" * 129: 1}},
        "has 129 characters; the limit is 128",
    ),
    ({"device": "one", "values": {"": 1}}, "a metric's name is empty"),
    ({"device": "one", "values": {"a": 2**60}}, "beyond ±2^53"),
    ({"device": "one", "values": {"a": 10**400}}, "beyond ±2^53"),
    ({"device": "one", "values": {"a": "nul \0"}}, "NUL"),
    (
        {"device": "one", "ts": "now", "values": {"a": 1}},
        'ts is "now": expected `int | float`',
    ),
    ({"device": "one", "ts": None, "values": {"a": 1}}, "ts"),
    ({"device": "one", "ts": -1, "values": {"a": 1}}, "ts is -1; the earliest is 0"),
    (
        {"device": "one", "ts": 4_000_000_000_000, "values": {"a": 1}},
        "the latest is 10 minutes from now",
    ),
    (
        {"device": "one", "ts": 10**400, "values": {"a": 1}},
        "the latest is 10 minutes from now",
    ),
    ({"device": "one", "seq": -1, "values": {"a": 1}}, "seq must be a whole number"),
    ({"device": "a b", "values": {"a": 1}}, "device 'a b' is not an id"),
    ({"device": "me", "values": {"a": 1}}, "this client is not a device"),
    ({"device": "unknown", "values": {"a": 1}}, "device 'unknown' is not registered"),
    ("text", "Expected `object`, got `str`"),
]


@pytest.mark.parametrize("form", ["json", "ndjson", "msgpack"])
async def test_bulk_stores_readings_of_many_devices_in_each_form(served: Served, form: str) -> None:
    await served.register("one", "two")
    items: list[dict[str, Any]] = [
        {
            "device": device,
            "ts": TS + number,
            "values": {"a": number * 0.5, "b": "x", "c": {"d": [number]}},
        }
        for number, device in enumerate(["one", "two"] * 3000)
    ]
    body, headers = {
        "json": (json.dumps(items).encode(), {"Content-Type": "application/json"}),
        "ndjson": (b"\n".join(json.dumps(item).encode() for item in items), NDJSON),
        "msgpack": (msgspec.msgpack.encode(items), MSGPACK),
    }[form]
    response = await served.admin.post("/v1/telemetry", content=body, headers=headers)
    assert (response.status_code, response.json()) == (202, {"accepted": 6000})
    expected = {
        (item["device"], metric, item["ts"]): value for item in items for metric, value in item["values"].items()
    }
    assert stored(served) == expected


async def test_in_bulk_several_readings_of_one_device_without_timestamps_are_all_stored(served: Served) -> None:
    await served.register("one")
    items = [{"device": "one", "values": {"t": number}} for number in range(3)]
    response = await served.admin.post("/v1/telemetry", json=items)
    assert response.json() == {"accepted": 3}
    assert {one.value for one in served.gateway.history.values()} == {0, 1, 2}


@pytest.mark.parametrize(("item", "detail"), BAD, ids=[detail[:40] for _, detail in BAD])
@pytest.mark.parametrize("form", ["json", "ndjson"])
async def test_in_bulk_a_bad_item_is_reported_by_its_place_and_harms_no_other(
    served: Served, item: Any, detail: str, form: str
) -> None:
    await served.register("one")
    good = [{"device": "one", "ts": TS + number, "values": {"a": number}} for number in range(2)]
    items = [good[0], item, good[1]]
    if form == "json":
        response = await served.admin.post("/v1/telemetry", json=items)
        place = {"index": 1}
    else:
        content = "\n".join(json.dumps(one) for one in items) + "\n"
        response = await served.admin.post("/v1/telemetry", content=content, headers=NDJSON)
        place = {"line": 2}
    assert response.status_code == 202, response.text
    body = response.json()
    assert body["accepted"] == 2
    (rejected,) = body["rejected"]
    assert place.items() <= rejected.items()
    assert detail in rejected["detail"]
    assert stored(served) == {("one", "a", TS): 0, ("one", "a", TS + 1): 1}


async def test_a_line_that_is_not_json_is_reported_by_its_number_blank_lines_counted(
    served: Served,
) -> None:
    await served.register("one")
    good = b'{"device": "one", "values": {"a": 1}}'
    content = b"\n".join([b"", good, b"  ", b'{"device": NaN}', good, b'{"device": "\xff"}', b"[" * 5000])
    response = await served.admin.post("/v1/telemetry", content=content, headers=NDJSON)
    body = response.json()
    assert body["accepted"] == 2
    assert [one["line"] for one in body["rejected"]] == [4, 6, 7]


async def test_lines_that_decode_but_are_bad_are_counted_with_blank_lines(
    served: Served,
) -> None:
    await served.register("one")
    content = b'\n{"device": "one", "values": {"a": 1}}\n\n{"device": "one", "values": {}}\n'
    body = (await served.admin.post("/v1/telemetry", content=content, headers=NDJSON)).json()
    assert body["accepted"] == 1
    assert [one["line"] for one in body["rejected"]] == [4]


async def test_where_all_are_bad_for_one_reason_that_is_the_answer(
    served: Served,
) -> None:
    problem(
        await served.admin.post("/v1/devices/unknown/telemetry", json={"a": 1}),
        404,
        "not-found",
    )
    items = [{"device": name, "values": {"a": 1}} for name in ("x", "y")]
    body = problem(await served.admin.post("/v1/telemetry", json=items), 404, "not-found")
    assert [one["index"] for one in body["errors"]] == [0, 1]


async def test_where_all_are_bad_for_different_reasons_the_input_is_invalid(
    served: Served,
) -> None:
    items = [{"device": "x", "values": {"a": 1}}, {"device": "x", "values": {}}]
    body = problem(await served.admin.post("/v1/telemetry", json=items), 400, "invalid-input")
    assert [one["type"] for one in body["errors"]] == [
        "/problems/not-found",
        "/problems/invalid-input",
    ]


@pytest.mark.parametrize(
    ("passing", "status", "name"),
    [
        (Overloaded("the queue is full", after_s=3), 429, "overloaded"),
        (Unavailable("nobody answers", after_s=3), 503, "unavailable"),
    ],
)
async def test_where_some_are_bad_and_others_may_pass_the_answer_says_when_to_try_again(
    served: Served, passing: Retry, status: int, name: str
) -> None:
    await served.register("one")
    served.gateway.refusals["one"] = passing
    items = [{"device": "x", "values": {}}, {"device": "y", "values": {"a": 1}}, {"device": "one", "values": {"a": 1}}]
    response = await served.admin.post("/v1/telemetry", json=items)
    body = problem(response, status, name)
    assert response.headers["retry-after"] == "3"
    assert [(one["index"], one["type"]) for one in body["errors"]] == [
        (0, "/problems/invalid-input"),
        (1, "/problems/not-found"),
        (2, f"/problems/{name}"),
    ]
