"""Commands: written with commits, listed in their order, found by device and by room, forgotten in time."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.domain.addresses import Address
from iot_system.domain.commands import FINAL, Command, CommandStatus
from iot_system.errors import InvalidInput
from iot_system.ports.store import COMMANDS_KEPT_DAYS, Store
from msgspec import structs

from tests.contract.store.owner import Owner

DAY_US = 86_400_000_000


def command(id_: str, device: str = "d", **fields: Any) -> Command:
    plain = Command(id=id_, device=device, name="open", created_us=5, updated_us=6, expires_us=7)
    return structs.replace(plain, **fields)


async def listed(store: Store, status: Any = None, *, limit: int = 100, device: str = "d") -> list[str]:
    """Page by page."""
    found: list[str] = []
    cursor = None
    while True:
        page = await store.list_commands(device, status=status, limit=limit, cursor=cursor)
        found += [one.id for one in page.items]
        if (cursor := page.cursor) is None:
            return found


async def test_a_command_comes_back_as_it_was(owner: Owner) -> None:
    full = command(
        "c",
        payload={"a": [1, 2.5, None, "ü\0"]},
        status="failed",
        created_by="somebody",
        room="r",
        result=[{"x": 1e300}],
        reason="it is 'closed'",
        sends=3,
    )
    await owner.register("d")
    await owner.change(commands=[full, command("plain")])
    await owner.register("e")
    assert await owner.store.commands([("d", "c")]) == [full]
    found = await owner.store.commands([("d", "plain"), ("d", "other"), ("e", "c"), ("d", "c"), ("x", "c")])
    assert sorted(found, key=lambda one: one.id) == [full, command("plain")]
    assert await owner.store.commands([]) == []


async def test_a_later_commit_moves_a_command_on(owner: Owner) -> None:
    await owner.register("d")
    first = command("c")
    await owner.change(commands=[first])
    later = first.moved("succeeded", now_us=9, result={"done": True})
    await owner.change(commands=[later])
    assert await owner.store.commands([("d", "c")]) == [later]


async def test_a_device_is_loaded_with_its_open_commands_in_the_order_of_their_creation(owner: Owner) -> None:
    states: list[CommandStatus] = ["queued", "sent", "delivered", *sorted(FINAL)]
    await owner.register("d", "e")
    commands = [command(f"c{n}", status=status, created_us=100 - n) for n, status in enumerate(states)]
    twins = [command(id_, "e") for id_ in ("b", "a")]
    await owner.change(commands=[*commands, *twins])
    devices = await owner.store.load_devices(["d", "e"])
    assert devices["d"][2] == [commands[2], commands[1], commands[0]]
    assert devices["e"][2] == [twins[1], twins[0]]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_commands_are_listed_the_newest_first_and_pending_ones_the_oldest_first(owner: Owner, limit: int) -> None:
    await owner.register("d", "e")
    times = {"a": 3, "b": 1, "c": 2, "d": 2, "e": 4}
    await owner.change(
        commands=[
            *(command(id_, created_us=time, status="failed" if id_ == "c" else "sent") for id_, time in times.items()),
            command("other", "e"),
        ]
    )
    store = owner.store
    assert await listed(store, limit=limit) == ["e", "a", "d", "c", "b"]
    assert await listed(store, "pending", limit=limit) == ["b", "d", "a", "e"]
    assert await listed(store, "failed", limit=limit) == ["c"]
    assert await listed(store, "queued", limit=limit) == []
    assert await listed(store, device="unknown", limit=limit) == []


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "-1.a", "1.\0", "9" * 30 + ".a", "\u0661.a"])
async def test_a_cursor_that_no_list_gave_is_refused(owner: Owner, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await owner.store.list_commands("d", status=None, limit=1, cursor=cursor)


async def test_a_rooms_command_is_found_at_each_device(owner: Owner) -> None:
    await owner.register("d", "e")
    commands = [command("c", "e", room="r"), command("c", "d", room="r", status="failed")]
    await owner.change(commands=[*commands, command("c2", "d", room="r"), command("c3", "d", room="q")])
    assert await owner.store.room_command("r", "c") == commands[::-1]
    assert await owner.store.room_command("q", "c") == []


async def test_the_same_commit_again_moves_no_command_back(owner: Owner) -> None:
    await owner.register("d")
    again = await owner.change(commands=[command("c")])
    await owner.change(commands=[command("c", status="expired")])
    await owner.store.commit([again])
    (found,) = await owner.store.commands([("d", "c")])
    assert found.status == "expired"


async def test_commands_end_with_their_device(owner: Owner) -> None:
    await owner.register("d")
    await owner.change(commands=[command("c", room="r")])
    await owner.change(removed=[Address("device", "d")], commands=[command("c", status="cancelled", room="r")])
    await owner.change(commands=[command("late")])
    await owner.register("d")
    assert await listed(owner.store) == []
    assert await owner.store.room_command("r", "c") == []


async def test_commands_that_ended_long_ago_are_forgotten_open_ones_never(owner: Owner) -> None:
    await owner.register("d")
    now_us = 100 * DAY_US
    old_us = now_us - COMMANDS_KEPT_DAYS * DAY_US
    await owner.change(
        commands=[
            command("old", status="failed", updated_us=old_us - 1),
            command("young", status="failed", updated_us=old_us),
            command("open", status="sent", updated_us=1),
        ]
    )
    await owner.store.maintain(now_us=now_us, retention_days=0)
    assert sorted(await listed(owner.store)) == ["open", "young"]
