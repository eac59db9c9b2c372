"""Changes by users, and what they ask."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chart_harness.waiting import until
from iot_system.domain import questions as q
from iot_system.domain.access import Scope
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command
from iot_system.domain.registry import ApiToken, AuditEntry, Credential, Device, DeviceAccess, Room
from iot_system.errors import Conflict, InvalidInput, NotFound, Overloaded, TooLarge, Unavailable
from iot_system.services import questions
from iot_system.services.questions import CREDENTIALS_LIMIT

from tests.unit.services.asked import DEVICE, OTHER, ROOM, ask, command
from tests.unit.services.lifeline import Halt
from tests.unit.services.system import DEADLINE_S, Process, System, ids_of


async def waiting(process: Process, count: int) -> None:
    """Return when so many changes wait for their turn."""
    await until(lambda: len(process.shard._answers._changing._waiting) == count, within_s=DEADLINE_S)


async def test_changes_that_wait_for_the_same_turn_are_one_commit(system: System, process: Process) -> None:
    revision = process.shard.partition(0).revision
    async with process.shard.whole_turn():
        asking = [
            asyncio.create_task(ask(system, q.PatchDesired(DEVICE, {str(n): n}, if_version=n), q.DesiredView))
            for n in range(20)
        ]
        wrong = asyncio.create_task(ask(system, q.PatchDesired(DEVICE, {}, if_version=99), q.DesiredView))
        unknown = asyncio.create_task(ask(system, q.PatchDesired(OTHER, {}), q.DesiredView))
        await waiting(process, 22)
    assert [(await one).version for one in asking] == list(range(1, 21))
    with pytest.raises(Conflict, match="has version 20, not 99"):
        await wrong
    with pytest.raises(NotFound):
        await unknown
    assert process.shard.partition(0).revision == revision + 1


async def test_a_device_that_is_registered_and_deleted_at_once_is_gone(system: System, process: Process) -> None:
    async with process.shard.whole_turn():
        asking = [
            asyncio.create_task(system.asking.ask(0, question, Any))
            for question in (
                q.PutDevices([Device(id=OTHER, room=ROOM)]),
                q.PutCommand(command("c", OTHER)),
                q.DeleteDevice(OTHER),
                q.PutDevices([Device(id=OTHER)]),
            )
        ]
        await waiting(process, 4)
    await asyncio.gather(*asking)
    assert await system.store.commands([(OTHER, "c")]) == []
    assert (await system.gateway.device(OTHER)).device.room is None


async def test_a_change_that_waited_for_too_long_is_not_made_behind_its_askers_back(
    system: System, process: Process
) -> None:
    process.line.before["known"] = halt = Halt()
    await system.say(DEVICE, 1)
    await until(lambda: halt.waiting, within_s=DEADLINE_S)
    with pytest.raises(Unavailable):
        await ask(system, q.PatchDesired(DEVICE, {"on": True}), q.DesiredView)
    await asyncio.sleep(DEADLINE_S)
    halt.released.set()
    await system.settled()
    assert (await system.gateway.device(DEVICE)).state.desired == {}


async def test_what_exists_is_told_and_what_comes_twice_is_registered_once(system: System, process: Process) -> None:
    devices = [Device(id=DEVICE, room="new"), Device(id=OTHER), Device(id=OTHER, room="second")]
    answer = await system.asking.ask(0, q.PutDevices([*devices, Device(id=ids_of(0)[2], gateway="-")]), q.Registered)
    assert answer.existing == [DEVICE, OTHER]
    assert list(answer.refused) == [ids_of(0)[2]]
    assert (await system.gateway.device(DEVICE)).device.room is None
    assert (await system.gateway.device(OTHER)).device.room is None


async def test_a_device_is_not_its_own_gateway(system: System, process: Process) -> None:
    with pytest.raises(InvalidInput, match="the device itself"):
        await ask(system, q.PatchDevice(DEVICE, {"gateway": DEVICE}), Device)
    assert (await ask(system, q.PatchDevice(DEVICE, {"gateway": OTHER}), Device)).gateway == OTHER


async def test_a_command_given_again_is_the_same_also_after_its_end(system: System, process: Process) -> None:
    first = await ask(system, q.PutCommand(command("c", payload=1)), Command)
    assert await ask(system, q.PutCommand(command("c", payload=1)), Command) == first
    cancelled = await ask(system, q.CancelCommand(DEVICE, "c"), Command)
    assert cancelled.status == "cancelled"
    assert await ask(system, q.PutCommand(command("c", payload=1)), Command) == cancelled
    assert await ask(system, q.CancelCommand(DEVICE, "c"), Command) == cancelled
    assert await ask(system, q.GetCommand(DEVICE, "c"), Command) == cancelled
    with pytest.raises(Conflict):
        await ask(system, q.PutCommand(command("c", payload=2)), Command)
    for question in (q.CancelCommand(DEVICE, "d"), q.GetCommand(DEVICE, "d")):
        with pytest.raises(NotFound, match="has no command 'd'"):
            await ask(system, question, Command)


async def test_a_device_without_mqtt_takes_its_commands(system: System, process: Process) -> None:
    for id_ in "ba":
        await ask(system, q.PutCommand(command(id_)), Command)
    revision = process.shard.partition(0).revision
    for _ in range(2):
        taken = await ask(system, q.TakeCommands(DEVICE), list[Command])
        assert [(one.id, one.status) for one in taken] == [("b", "delivered"), ("a", "delivered")]
    assert process.shard.partition(0).revision == revision + 1, "the second time nothing was to be committed"


async def test_a_room_has_a_life_of_its_own(system: System, process: Process) -> None:
    with pytest.raises(NotFound):
        await ask(system, q.GetRoom(ROOM))
    made = await ask(system, q.PutRoom(Room(id=ROOM, labels={"a": "b"}), by="ann"), Room)
    assert made.created_us == made.updated_us > 0
    changed = await ask(system, q.PatchRoom(ROOM, {"stale_after_s": 5, "labels": {"a": None}}), Room)
    assert (changed.stale_after_s, changed.labels, changed.created_us) == (5.0, {}, made.created_us)
    await ask(system, q.PatchDevice(DEVICE, {"room": ROOM}), Device)
    assert (await ask(system, q.PatchRoomDesired(ROOM, {"t": 20}), q.DesiredView)).version == 1
    await system.settled()
    view = await ask(system, q.GetRoom(ROOM), q.RoomView)
    assert (view.room, list(view.state.members), view.state.desired) == (changed, [DEVICE], {"t": 20})
    assert (await system.gateway.device(DEVICE)).state.desired == {"t": 20}
    with pytest.raises(Conflict, match=f"'{DEVICE}' is one"):
        await ask(system, q.DeleteRoom(ROOM))
    await ask(system, q.PatchDevice(DEVICE, {"room": None}), Device)
    await system.settled()
    await ask(system, q.DeleteRoom(ROOM))
    for question in (q.GetRoom(ROOM), q.DeleteRoom(ROOM), q.PatchRoom(ROOM, {})):
        with pytest.raises(NotFound):
            await ask(system, question)


async def test_a_member_that_was_never_heard_of_is_shown(system: System, process: Process) -> None:
    await system.register(OTHER, room=ROOM)
    await system.settled()
    assert (await ask(system, q.GetRoom(ROOM), q.RoomView)).state.members == {OTHER: 0}


@pytest.mark.parametrize("patch", [{"stale_after_s": 0}, {"stale_after_s": "x"}, {"id": "other"}, {"behaviour": "x"}])
async def test_a_patch_that_fits_no_room_is_refused(system: System, process: Process, patch: dict[str, Any]) -> None:
    await ask(system, q.PutRoom(Room(id=ROOM)), Room)
    with pytest.raises(InvalidInput):
        await ask(system, q.PatchRoom(ROOM, patch), Room)


async def test_who_changed_what_is_remembered(system: System, process: Process) -> None:
    credential = Credential(id="c", device=DEVICE, sha256=b"x", created_us=1)
    token = ApiToken(id="t", name="n", role="viewer", scopes=(Scope("room", "r"),), sha256=b"x", created_us=1)
    for question in (
        q.PatchDevice(DEVICE, {"labels": {"a": "b"}}, "ann"),
        q.PatchDesired(DEVICE, {"x": "y" * 3000}, by="ann"),
        q.PutCommand(command("c", created_by="ann")),
        q.CancelCommand(DEVICE, "c", "ann"),
        q.AddCredential(credential, "ann"),
        q.DeleteCredential(DEVICE, "c", "ann"),
        q.PutRoom(Room(id=ROOM), "ann"),
        q.DeleteRoom(ROOM, "ann"),
        q.DeleteDevice(DEVICE, "ann"),
    ):
        await ask(system, question)
    await system.asking.ask(None, q.PutToken(token, "ann"), type(None))
    await system.asking.ask(None, q.DeleteToken("t", "ann"), type(None))
    page = await system.asking.ask_page(None, q.ListAudit(by="ann"), AuditEntry)
    assert [(one.action, one.target) for one in reversed(page.items)] == [
        ("patch_device", f"devices/{DEVICE}"),
        ("patch_desired", f"devices/{DEVICE}"),
        ("put_command", f"devices/{DEVICE}"),
        ("cancel_command", f"devices/{DEVICE}"),
        ("add_credential", f"devices/{DEVICE}"),
        ("delete_credential", f"devices/{DEVICE}"),
        ("put_room", f"rooms/{ROOM}"),
        ("delete_room", f"rooms/{ROOM}"),
        ("delete_device", f"devices/{DEVICE}"),
        ("put_token", "tokens/t"),
        ("delete_token", "tokens/t"),
    ]
    assert page.items[-1].detail == {"labels": {"a": "b"}}
    assert list(page.items[-2].detail) == ["bytes"], "what is large is not repeated"
    assert "sha256" not in page.items[1].detail


async def test_a_device_has_a_limited_number_of_credentials(system: System, process: Process) -> None:
    for _ in range(CREDENTIALS_LIMIT):
        await system.gateway.issue_token(DEVICE)
    with pytest.raises(Conflict, match=f"has {CREDENTIALS_LIMIT} credentials, the limit"):
        await system.gateway.issue_token(DEVICE)


async def test_an_answer_that_would_be_too_large_comes_in_parts(system: System, process: Process) -> None:
    labels = {f"{number:03}" + "x" * 125: "y" * 128 for number in range(64)}
    ids = [f"x{number}" for number in range(240)]
    for start in range(0, len(ids), 40):
        await system.asking.ask(
            0, q.PutDevices([Device(id=id_, labels=labels) for id_ in ids[start : start + 40]]), Any
        )
    assert len(await system.asking.ask(0, q.GetAccess(ids[:40]), list[DeviceAccess])) == 40
    with pytest.raises(TooLarge, match=r"240 devices have \d+ bytes; ask for fewer at once"):
        await system.asking.ask(0, q.GetAccess(ids), list[DeviceAccess])
    cursor: str | None = None
    seen: list[str] = []
    while True:
        page = await system.asking.ask_page(None, q.ListDevices(limit=1000, cursor=cursor), Device)
        seen += [device.id for device in page.items]
        if (cursor := page.cursor) is None:
            break
    assert seen == sorted([DEVICE, *ids])


async def test_the_failures_of_a_behaviour_are_told(system: System, process: Process) -> None:
    await system.register(OTHER)
    await ask(system, q.PatchDevice(OTHER, {"behaviour": "tests.unit.actors.sample_behaviours:NotStorable"}), Device)
    await system.say(OTHER, 1)
    await system.settled()
    failures = await system.asking.ask_owner(OTHER, q.GetFailures(Address("device", OTHER)), list[q.Failure])
    assert [one.handler for one in failures] == ["on_reading"]


@pytest.mark.parametrize("limit", [("QUESTIONS_LIMIT", 3), ("QUESTIONS_BYTES_LIMIT", 3 * 40)])
async def test_questions_that_are_too_many_while_the_store_is_away_are_refused_and_not_kept(
    system: System, process: Process, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]
) -> None:
    monkeypatch.setattr(questions, *limit)
    process.line.before["check"] = halt = Halt()
    waiting = [asyncio.create_task(system.gateway.device(DEVICE)) for _ in range(10)]
    await until(lambda: any(task.done() for task in waiting), within_s=DEADLINE_S)
    refused = [task for task in waiting if task.done()]
    assert all(isinstance(task.exception(), Overloaded) for task in refused)
    halt.released.set()
    kept = await asyncio.gather(*(task for task in waiting if task not in refused))
    assert 0 < len(kept) <= 5
    assert (await system.gateway.device(DEVICE)).device.id == DEVICE
