"""Telemetry of one device is stored as it was said, or refused."""

from __future__ import annotations

import pytest
from iot_system.errors import Overloaded

from tests.unit.http.expected import problem
from tests.unit.http.sending import NDJSON, TS, stored
from tests.unit.http.serving import Served


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


async def test_what_cannot_be_stored_now_is_refused_with_a_time_to_try_again(
    served: Served,
) -> None:
    await served.register("one")
    served.gateway.failure = Overloaded("the stream is full", after_s=5)
    response = await served.admin.post("/v1/devices/one/telemetry", json={"a": 1})
    problem(response, 429, "overloaded")
    assert response.headers["retry-after"] == "5"
