"""Small bodies are strict JSON; each refusal is one sentence that names what is wrong."""

from __future__ import annotations

import pytest

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served

JSON = {"Content-Type": "application/json"}
DESIRED = "/v1/devices/one/twin/desired"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' stands twice in one object"),
        (b'{"a": {"b": 1, "c": {"d": 1, "d": 1}}}', "key 'd' stands twice in one object"),
        (b'{"a":' + b"[" * 17 + b"]" * 17 + b"}", "a is nested deeper than 16 levels"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "this is nested too deeply; the limit is 16 levels"),
        (b'{"a": 123456789012345678901234567890}', "a has a whole number beyond ±2^53, the limit"),
        (b'{"a": 1e400}', "a is a number beyond 1.8e308"),
        (b'{"a": NaN}', "this cannot be decoded: JSON is malformed: invalid character (byte 6)"),
        (b'{"a": "x\\u0000"}', "a has a NUL character; text cannot hold it"),
        (b'{"a\\u0000": 1}', "a key has a NUL character; text cannot hold it"),
        (b'{"a": "\xff"}', "this has text that is not valid UTF-8"),
        (b'{"a": "\\ud800"}', "this cannot be decoded: a has half of a surrogate pair, which is no character"),
        (b'{"a": {"b": [1, 1e999]}}', "this cannot be decoded: a.b[1] is a number beyond 1.8e308"),
        (b'[{"a": 1}]', "Expected `object`, got `array`"),
        (b'{"a": 1}{"b": 2}', "this cannot be decoded: JSON is malformed: trailing characters (byte 9)"),
        (b"", "the body is empty"),
    ],
)
async def test_what_parsers_would_bend_is_refused_in_one_sentence(served: Served, body: bytes, detail: str) -> None:
    await served.register("one")
    found = problem(await served.admin.patch(DESIRED, content=body, headers=JSON), 400, "invalid-input")["detail"]
    assert detail in found
    assert served.gateway.states["one"].desired == {}


async def test_a_body_larger_than_any_small_one_is_refused(served: Served) -> None:
    await served.register("one")
    response = await served.admin.patch(DESIRED, json={"a": "x" * 300_000})
    assert "the limit here is 262144" in problem(response, 413, "too-large")["detail"]


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json", "Application/JSON; a=b"])
async def test_a_patch_is_json_by_either_name(served: Served, media_type: str) -> None:
    await served.register("one")
    response = await served.admin.patch(DESIRED, content=b'{"a": 1}', headers={"Content-Type": media_type})
    assert response.status_code == 200, response.text


async def test_another_media_type_is_told_which_there_are(served: Served) -> None:
    await served.register("one")
    response = await served.admin.patch(DESIRED, content=b"a: 1", headers={"Content-Type": "application/yaml"})
    detail = problem(response, 415, "unsupported-media-type")["detail"]
    assert detail == "Content-Type is 'application/yaml'; it is application/json or application/merge-patch+json"
