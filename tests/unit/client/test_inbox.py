"""What a device is sent: each command once, and a desired state without holes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iot_system.client.inbox import DESIRED, REMEMBERED, DesiredState, DeviceCommand, Inbox
from iot_system.client.problems import SystemFault
from iot_system.domain.merge import merge_patch


def whole(version: int, **state: object) -> bytes:
    return msgspec.json.encode({"version": version, "desired": state})


def patch(version: int, **changes: object) -> bytes:
    return msgspec.json.encode({"version": version, "patch": changes})


def test_a_command_that_comes_again_is_given_once() -> None:
    inbox = Inbox()
    for _ in range(2):
        assert inbox.take("v1/devices/me/commands/c1/open", b'{"angle":90}') == []
    inbox.take("v1/devices/sensor-1/commands/c2/close", b"")
    assert inbox.commands.get_nowait() == DeviceCommand("c1", "open", {"angle": 90})
    assert inbox.commands.get_nowait() == DeviceCommand("c2", "close", None)
    assert inbox.commands.empty()


def test_what_it_remembers_of_commands_is_bounded() -> None:
    inbox = Inbox()
    for number in range(REMEMBERED + 1):
        inbox.take(f"v1/devices/me/commands/c{number}/open", b"null")
    assert len(inbox._known) == REMEMBERED


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 3), min_size=1), max_size=6))
def test_patches_that_follow_each_other_give_the_whole_state(patches: list[dict[str, int | None]]) -> None:
    inbox, expected = Inbox(), {"a": 1}
    inbox.take(DESIRED, whole(3, a=1))
    for version, one in enumerate(patches, 4):
        expected = merge_patch(expected, one)
        assert inbox.take(DESIRED, patch(version, **one)) == []
    assert inbox.desired.get_nowait() == DesiredState(3 + len(patches), expected)


def test_only_the_newest_state_waits() -> None:
    inbox = Inbox()
    for version in (1, 2, 3):
        inbox.take(DESIRED, whole(version, v=version))
    assert inbox.desired.get_nowait() == DesiredState(3, {"v": 3})
    assert inbox.desired.empty()


def test_a_missing_change_makes_it_ask_for_the_whole_state() -> None:
    inbox = Inbox()
    inbox.take(DESIRED, whole(1, a=1))
    inbox.desired.get_nowait()
    assert inbox.take(DESIRED, patch(3, b=2)) == [DESIRED]
    assert inbox.desired.empty()
    inbox.take(DESIRED, whole(3, a=1, b=2))
    assert inbox.desired.get_nowait() == DesiredState(3, {"a": 1, "b": 2})


def test_an_older_state_changes_nothing() -> None:
    inbox = Inbox()
    inbox.take(DESIRED, whole(5, a=1))
    inbox.desired.get_nowait()
    assert inbox.take(DESIRED, patch(5, a=2)) == inbox.take(DESIRED, whole(4)) == []
    assert inbox.desired.empty()


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"version":"1"}', b"\xff"])
def test_what_cannot_be_read_is_a_fault_of_the_system(payload: bytes) -> None:
    with pytest.raises(SystemFault, match=DESIRED):
        Inbox().take(DESIRED, payload)
