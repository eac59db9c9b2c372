from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from iot_system.domain.readings import Value
from iot_system.errors import Overloaded, Retry, Unavailable

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

TS = 1_700_000_000_000
NDJSON = {"Content-Type": "application/x-ndjson"}
MSGPACK = {"Content-Type": "application/msgpack"}


def stored(served: Served) -> dict[tuple[str, str, int], Value]:
    """What the gateway holds: (device, metric, ms) → value."""
    return {(one.device, one.metric, one.time_us // 1000): one.value for one in served.gateway.history.values()}


async def test_one_message_is_stored_with_the_time_of_its_arrival(
    served: Served,
) -> None:
    await served.register("one")
    before_us = served.gateway.now_us()
    response = await served.admin.post("/v1/devices/one/telemetry", json={"temperature": 21.5, "open": True})
    assert (response.status_code, response.json()) == (202, {"accepted": 1})
    times_us = {one.time_us for one in served.gateway.history.values()}
    assert len(times_us) == 1
    assert before_us < times_us.pop() < served.gateway.now_us()
    assert {(key[1], value) for key, value in stored(served).items()} == {
        ("temperature", 21.5),
        ("open", True),
    }


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"t": 1, "t": 2}', {}),
        (b'{"ts": 1, "values": {"t": 0}, "ts": %d, "values": {"t": 1, "t": 2}}' % TS, {}),
        (b'[{"t": 1, "t": 2}]', {}),
        (b'{"t": 1, "t": 2}\n', NDJSON),
    ],
)
async def test_of_a_key_that_stands_twice_the_last_one_counts(
    served: Served, body: bytes, headers: dict[str, str]
) -> None:
    await served.register("one")
    response = await served.admin.post("/v1/devices/one/telemetry", content=body, headers=headers)
    assert response.json() == {"accepted": 1}
    found = stored(served)
    assert list(found.values()) == [2]
    assert ("one", "t", 1) not in found


async def test_a_list_is_stored_in_both_forms_and_with_its_timestamps(
    served: Served,
) -> None:
    await served.register("one")
    items = [
        {"ts": TS, "values": {"a": 1, "b": "text"}},
        {
            "ts": TS + 0.5,
            "values": {"a": 2.5, "c": {"x": [1, None, {"y": False}]}},
            "seq": 1,
            "boot": "b",
        },
        {"a": 3},
    ]
    response = await served.admin.post("/v1/devices/one/telemetry", json=items)
    assert response.json() == {"accepted": 3}
    assert {one.time_us for one in served.gateway.history.values()} > {
        TS * 1000,
        TS * 1000 + 500,
    }
    assert stored(served)["one", "b", TS] == "text"
    assert stored(served)["one", "c", TS] == {"x": [1, None, {"y": False}]}


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


async def test_what_cannot_be_stored_now_is_refused_with_a_time_to_try_again(
    served: Served,
) -> None:
    await served.register("one")
    served.gateway.failure = Overloaded("the stream is full", after_s=5)
    response = await served.admin.post("/v1/devices/one/telemetry", json={"a": 1})
    problem(response, 429, "overloaded")
    assert response.headers["retry-after"] == "5"


@pytest.mark.parametrize("path", ["/v1/telemetry", "/v1/devices/one/telemetry"])
@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"[]", "the list is empty"),
        (b"{", "Input data was truncated"),
        (b'{"a": 1} x', "trailing characters"),
        (b'{"a": NaN}', "JSON is malformed"),
        (b'{"a": Infinity}', "JSON is malformed"),
        (b'{"a": -Infinity}', "JSON is malformed"),
        (b'{"a": 1e999}', "a is a number beyond 1.8e308"),
        (b'{"a": ' + b"9" * 5000 + b"}", "out of range"),
        (b'{"a": "\xff"}', "not valid UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not valid UTF-8"),
        (b'{"a": "\\ud800"}', "cannot be decoded"),
        (b"\xef\xbb\xbf{}", "JSON is malformed"),
        (b"[" * 100_000, "nested too deeply; the limit is 16 levels"),
        (
            b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
            "nested too deeply; the limit is 16 levels",
        ),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_broken_body_is_refused_in_one_sentence(served: Served, path: str, body: bytes, detail: str) -> None:
    await served.register("one")
    found = problem(await served.admin.post(path, content=body), 400, "invalid-input")["detail"]
    assert detail in found
    assert not served.gateway.messages


async def test_a_value_deeper_than_the_limit_is_refused(served: Served) -> None:
    await served.register("one")
    fits: Any = 1
    for _ in range(15):
        fits = {"x": fits}
    assert (await served.admin.post("/v1/devices/one/telemetry", json={"a": fits})).status_code == 202
    response = await served.admin.post("/v1/devices/one/telemetry", json={"a": {"x": [fits]}})
    assert "deeper than 16 levels" in problem(response, 400, "invalid-input")["detail"]


@pytest.mark.parametrize("path", ["/v1/telemetry", "/v1/devices/one/telemetry"])
@pytest.mark.parametrize(
    "values",
    [
        {1: 2},
        {b"a": 1},
        {"a": {1: 2}},
        {"a": [{"b": {3: 4}}]},
        {"a": b"bytes"},
        {"a": msgspec.Raw(b"\xcb\x7f\xf8" + b"\0" * 6)},
    ],
    ids=["key", "bytes key", "inner key", "deep key", "bytes", "NaN"],
)
async def test_messagepack_that_json_could_not_say_is_refused(served: Served, path: str, values: Any) -> None:
    await served.register("one")
    body = msgspec.msgpack.encode([{"device": "one", "values": values}] if path == "/v1/telemetry" else [values])
    problem(
        await served.admin.post(path, content=body, headers=MSGPACK),
        400,
        "invalid-input",
    )
    assert not served.gateway.messages


@pytest.mark.parametrize("body", [b"\xc1", b"\x92\x01", b"\x91" * 100_000, b"\xa1\xff"])
async def test_broken_messagepack_is_refused(served: Served, body: bytes) -> None:
    problem(
        await served.admin.post("/v1/telemetry", content=body, headers=MSGPACK),
        400,
        "invalid-input",
    )


async def test_a_media_type_that_is_not_known_is_told_with_those_that_are(
    served: Served,
) -> None:
    response = await served.admin.post("/v1/telemetry", content=b"<a/>", headers={"Content-Type": "application/xml"})
    detail = problem(response, 415, "unsupported-media-type")["detail"]
    assert "'application/xml'" in detail
    assert "application/x-ndjson" in detail


async def test_too_many_metrics_are_too_large(served: Served) -> None:
    await served.register("one")
    values = {f"m{number}": 1 for number in range(257)}
    response = await served.admin.post("/v1/devices/one/telemetry", json=values)
    assert "257 metrics; the limit is 256" in problem(response, 413, "too-large")["detail"]


async def test_too_many_items_are_too_large(served: Served) -> None:
    response = await served.admin.post("/v1/telemetry", content=b"[" + b"1," * 100_000 + b"1]")
    assert "100001 items; the limit is 100000" in problem(response, 413, "too-large")["detail"]
