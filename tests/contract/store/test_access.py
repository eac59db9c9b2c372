"""Tokens, the audit, registered rooms, and lists that scopes narrow."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.domain.access import Scope
from iot_system.domain.addresses import Address
from iot_system.domain.registry import ApiToken, AuditEntry, Credential, Page, Room
from iot_system.domain.twin import RoomState
from iot_system.errors import InvalidInput, NotFound
from iot_system.ports.store import AUDIT_KEPT_DAYS, Store
from msgspec import structs

from tests.contract.store.owner import Owner

DAY_US = 86_400_000_000
LAB, FLOOR = Scope("room", "lab"), Scope("label", "floor=2")


def entry(time_us: int, **fields: Any) -> AuditEntry:
    return structs.replace(AuditEntry(time_us=time_us, by="admin", action="a", target="devices/d"), **fields)


def token(id_: str, **fields: Any) -> ApiToken:
    return structs.replace(ApiToken(id=id_, name="n", role="viewer", sha256=b"x" * 32, created_us=1), **fields)


async def audit(store: Store, *, limit: int = 100, **filters: Any) -> list[AuditEntry]:
    """Page by page."""
    found: list[AuditEntry] = []
    cursor = None
    while True:
        page = await store.list_audit(target=filters.get("target"), by=filters.get("by"), limit=limit, cursor=cursor)
        found += page.items
        if (cursor := page.cursor) is None:
            return found


async def test_a_token_comes_back_as_it_was(store: Store) -> None:
    full = token("t", role="operator", scopes=(LAB, FLOOR), expires_us=9, created_by="admin")
    await store.put_token(full)
    await store.put_token(token("s"))
    assert await store.tokens(["s", "t", "unknown"]) == [token("s"), full]


async def test_tokens_are_listed_in_pages_and_end(store: Store) -> None:
    for id_ in ("b", "a", "c"):
        await store.put_token(token(id_))
    first = await store.list_tokens(limit=2, cursor=None)
    assert ([one.id for one in first.items], first.cursor) == (["a", "b"], "b")
    assert await store.list_tokens(limit=2, cursor="b") == Page(items=[token("c")], cursor=None)
    await store.delete_token("b")
    assert await store.tokens(["b"]) == []
    with pytest.raises(NotFound, match="there is no token 'b'"):
        await store.delete_token("b")


async def test_what_is_done_again_after_a_lost_answer_is_told_once(owner: Owner) -> None:
    store, credential = owner.store, Credential(id="c", device="d", sha256=b"x", created_us=1)
    change = await owner.change(audit=[entry(1), entry(2)])
    await store.commit([change])
    await owner.register("d")
    for _ in range(2):
        await store.add_credential(owner.guard, credential, entry(3))
        await store.put_token(token("t"), entry(4))
    await store.delete_credential(owner.guard, "d", "c", entry(5))
    await store.delete_token("t", entry(6))
    for again in (store.delete_credential(owner.guard, "d", "c", entry(7)), store.delete_token("t", entry(8))):
        with pytest.raises(NotFound):
            await again
    assert [one.time_us for one in await audit(store)] == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_the_audit_is_listed_the_newest_first_by_target_and_author(owner: Owner, limit: int) -> None:
    entries = [
        entry(1, detail={"patch": {"room": None, "n": 1.5}}),
        entry(2, by="ann"),
        entry(3, target="rooms/r"),
        entry(4, by="ann", target="rooms/r"),
    ]
    await owner.change(audit=entries)
    store = owner.store
    assert await audit(store, limit=limit) == entries[::-1]
    assert await audit(store, limit=limit, by="ann") == [entries[3], entries[1]]
    assert await audit(store, limit=limit, target="rooms/r") == [entries[3], entries[2]]
    assert await audit(store, limit=limit, target="rooms/r", by="admin") == [entries[2]]
    with pytest.raises(InvalidInput, match="cursor"):
        await store.list_audit(target=None, by=None, limit=1, cursor="x")


async def test_old_entries_of_the_audit_are_forgotten(owner: Owner) -> None:
    now_us = 1000 * DAY_US
    kept_us = now_us - AUDIT_KEPT_DAYS * DAY_US
    await owner.change(audit=[entry(kept_us - 1), entry(kept_us)])
    await owner.store.maintain(now_us=now_us, retention_days=0)
    assert [one.time_us for one in await audit(owner.store)] == [kept_us]


async def test_a_rooms_registration_comes_back_as_it_was_and_goes_with_it(owner: Owner) -> None:
    store = owner.store
    room = Room(id="r", behaviour="x:Y", labels={"a": "ä"}, stale_after_s=1.5, created_us=1, updated_us=2)
    await owner.change(registered_rooms=[room], rooms={"heard": RoomState(desired_version=2)})
    assert await store.load_rooms(["r", "heard", "unknown"]) == {
        "r": (room, RoomState()),
        "heard": (Room(id="heard"), RoomState(desired_version=2)),
    }
    changed = Room(id="r", labels={"b": "c"})
    await owner.change(registered_rooms=[changed], rooms={"r": RoomState(errors=1)})
    assert await store.load_rooms(["r"]) == {"r": (changed, RoomState(errors=1))}
    await owner.remove(Address("room", "r"))
    assert await store.load_rooms(["r"]) == {}
    assert await store.list_rooms(limit=10, cursor=None) == Page(items=[Room(id="heard")], cursor=None)


async def test_rooms_are_listed_once_whether_registered_or_heard_of_and_within_scopes(owner: Owner) -> None:
    labelled = Room(id="b", labels={"floor": "2"})
    await owner.change(
        registered_rooms=[labelled, Room(id="lab"), Room(id="z")],
        rooms={id_: RoomState() for id_ in ("a", "b", "lab", "c")},
    )

    async def ids(limit: int, *scopes: Scope) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await owner.store.list_rooms(limit=limit, cursor=cursor, scopes=scopes)
            found += [room.id for room in page.items]
            if (cursor := page.cursor) is None:
                return found

    for limit in (1, 2, 10):
        assert await ids(limit) == ["a", "b", "c", "lab", "z"]
        assert await ids(limit, LAB) == ["lab"]
        assert await ids(limit, FLOOR) == ["b"]
        assert await ids(limit, FLOOR, LAB, Scope("room", "c")) == ["b", "c", "lab"]
    page = await owner.store.list_rooms(limit=1, cursor=None, scopes=[FLOOR])
    assert page.items == [labelled]


async def test_devices_are_listed_within_scopes_which_widen_each_other(owner: Owner) -> None:
    await owner.register("a", room="lab")
    await owner.register("b", room="hall", labels={"floor": "2", "kind": "co2"})
    await owner.register("c", labels={"floor": "1"})

    async def ids(*scopes: Scope, room: str | None = None) -> list[str]:
        page = await owner.store.list_devices(room=room, label=None, limit=10, cursor=None, scopes=scopes)
        return [device.id for device in page.items]

    assert await ids() == ["a", "b", "c"]
    assert await ids(LAB) == ["a"]
    assert await ids(FLOOR) == ["b"]
    assert await ids(LAB, FLOOR) == ["a", "b"]
    assert await ids(LAB, room="hall") == []
    assert await ids(Scope("label", "floor=3"), Scope("room", "cellar")) == []


async def test_members_of_a_room_are_the_devices_registered_in_it(owner: Owner) -> None:
    await owner.register("c", "a", room="lab")
    await owner.register("b", room="hall")
    assert await owner.store.members("lab", limit=10) == ["a", "c"]
    assert await owner.store.members("lab", limit=1) == ["a"]
    assert await owner.store.members("cellar", limit=10) == []
