"""Bodies that are no telemetry are refused in one sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.http.expected import problem
from tests.unit.http.sending import MSGPACK
from tests.unit.http.serving import Served


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
