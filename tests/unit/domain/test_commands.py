"""A command's life: forward only, to one end, which it keeps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.domain.commands import (
    FINAL,
    PAYLOAD_LIMIT,
    TIMEOUT_LIMIT_S,
    Command,
    CommandStatus,
    check_command,
    command_data,
    command_of,
)
from iot_system.errors import InvalidInput, TooLarge

ORDER: dict[str, int] = {"queued": 0, "sent": 1, "delivered": 2} | dict.fromkeys(sorted(FINAL), 3)
statuses: st.SearchStrategy[CommandStatus] = st.sampled_from(
    ["queued", "sent", "delivered", "succeeded", "failed", "expired", "cancelled"]
)


def new(**fields: Any) -> Command:
    given_: dict[str, Any] = {
        "id": "c",
        "device": "d",
        "name": "open",
        "created_us": 1_000_000,
        "updated_us": 1_000_000,
        "expires_us": 61_000_000,
    }
    return Command(**(given_ | fields))


@given(st.lists(statuses, max_size=12))
def test_whatever_happens_a_command_goes_forward_to_one_end_and_stays_there(path: list[CommandStatus]) -> None:
    command, seen = new(), ["queued"]
    for now_us, status in enumerate(path, 2_000_000):
        before, command = command, command.moved(status, now_us=now_us, result=now_us, reason=status)
        if before.status in FINAL or ORDER[status] < ORDER[before.status]:
            assert command is before
        else:
            assert (command.status, command.updated_us, command.result) == (status, now_us, now_us)
            seen.append(status)
    assert [ORDER[one] for one in seen] == sorted(ORDER[one] for one in seen)
    assert sum(one in FINAL for one in seen) == (not command.is_open)
    first_end = next((one for one in path if one in FINAL), None)
    assert command.is_open == (first_end is None)
    assert first_end is None or command.status == first_end


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"id": "a b"}, "id 'a b' is not an id"),
        ({"device": ""}, "device '' is not an id"),
        ({"name": "a/b"}, "name 'a/b' is not an id"),
        ({"payload": {"a": float("nan")}}, "payload has the number nan"),
        ({"expires_us": round(1_000_001 + TIMEOUT_LIMIT_S * 1e6)}, "expires in more than 30 days"),
    ],
)
def test_a_bad_command_is_refused_with_its_rule(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_command(new(**fields))


def test_a_payload_that_is_too_large_is_refused_with_limit_and_size() -> None:
    check_command(new(payload="x" * (PAYLOAD_LIMIT - 2)))
    with pytest.raises(TooLarge, match=f"payload has {PAYLOAD_LIMIT + 1} bytes as JSON; the limit is {PAYLOAD_LIMIT}"):
        check_command(new(payload="x" * (PAYLOAD_LIMIT - 1)))


def test_events_and_rest_show_a_command_in_whole_milliseconds() -> None:
    shown = command_data(
        new(payload=[1], created_by="me@site", room="r").moved("failed", now_us=2_500_500, reason="no")
    )
    assert shown == {
        "id": "c",
        "device": "d",
        "room": "r",
        "name": "open",
        "payload": [1],
        "status": "failed",
        "created": 1000,
        "created_by": "me@site",
        "updated": 2500,
        "expires": 61000,
        "result": None,
        "reason": "no",
    }


@given(statuses, st.integers(0, 2**42), st.none() | st.text())
def test_what_an_event_tells_of_a_command_is_the_command(status: CommandStatus, now_ms: int, room: str | None) -> None:
    command = new(payload={"a": [1]}, room=room, created_by="admin:admin", created_us=now_ms * 1000, status=status)
    assert command_of(msgspec.json.decode(msgspec.json.encode(command_data(command)))) == command
