"""Devices, credentials and rooms."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from iot_system.domain.addresses import Address
from iot_system.domain.history import HistoryQuery, Reading
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page, Room
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.errors import NotFound
from iot_system.ports.store import Store

from tests.contract.store.owner import Owner

FULL = Device(
    id="Full.1_a-b",
    room="r1",
    behaviour="x.y:Z",
    labels={"floor": "2", "näme": "wért 'quoted' \"twice\""},
    enabled=False,
    gateway="the-gateway",
    created_us=1,
    updated_us=2,
)


async def page_of(store: Store, *, limit: int = 100, **filters: Any) -> Page:
    return await store.list_devices(
        room=filters.get("room"), label=filters.get("label"), limit=limit, cursor=filters.get("cursor")
    )


async def ids_of(store: Store, **filters: Any) -> list[str]:
    return [device.id for device in (await page_of(store, **filters)).items]


async def test_a_registration_comes_back_as_it_was(owner: Owner) -> None:
    await owner.change(registered_devices=[FULL])
    assert (await owner.store.load_devices([FULL.id]))[FULL.id] == (FULL, DeviceState(), [])
    assert await owner.store.access([FULL.id]) == [DeviceAccess(device=FULL, credentials=())]
    assert (await page_of(owner.store)).items == [FULL]


async def test_a_saved_device_is_changed_and_keeps_its_state(owner: Owner) -> None:
    await owner.register("d")
    await owner.commit(devices={"d": DeviceState(seq=4)})
    changed = msgspec.structs.replace(FULL, id="d")
    await owner.change(registered_devices=[changed])
    assert (await owner.store.load_devices(["d"]))["d"] == (changed, DeviceState(seq=4), [])


async def test_what_is_not_registered_has_no_credentials(owner: Owner) -> None:
    store, credential = owner.store, Credential(id="c", device="no", sha256=b"x", created_us=1)
    for write in (
        store.add_credential(owner.guard, credential),
        store.delete_credential(owner.guard, "no", "c"),
    ):
        with pytest.raises(NotFound, match="'no'"):
            await write


async def test_a_deleted_device_leaves_nothing_to_the_next_one_of_its_name(owner: Owner) -> None:
    store = owner.store
    await owner.register("d", "other")
    await store.add_credential(owner.guard, Credential(id="c", device="d", sha256=b"x", created_us=1))
    readings = [Reading("d", "t", 1, 1.0), Reading("other", "t", 1, 1.0)]
    await owner.commit(readings, devices={"d": DeviceState(seq=9)})
    await owner.remove(Address("device", "d"))
    assert await store.load_devices(["d"]) == {}
    assert await store.access(["d"]) == []
    assert await store.known(readings) == {("other", "t", 1)}
    await owner.register("d")
    assert (await store.readings(HistoryQuery(device="d"))).items == []
    assert await store.access(["d"]) == [DeviceAccess(device=Device(id="d"), credentials=())]
    assert (await store.load_devices(["d"]))["d"] == (Device(id="d"), DeviceState(), [])
    await owner.commit([Reading("d", "t", 1, 2.0)])
    await store.maintain(now_us=10, retention_days=0)
    assert (await store.readings(HistoryQuery(device="d"))).items == [Reading("d", "t", 1, 2.0)]
    assert (await store.readings(HistoryQuery(device="other"))).items == [Reading("other", "t", 1, 1.0)]


async def test_several_credentials_live_at_a_time(owner: Owner) -> None:
    store = owner.store
    await owner.register("d", "e")
    first, second = (
        Credential(id=f"c{number}", device="d", sha256=bytes([number]) * 32, created_us=number) for number in (1, 2)
    )
    for credential in (second, first, first):  # an answer that got lost
        await store.add_credential(owner.guard, credential)
    assert await store.access(["d", "unknown", "e"]) == [
        DeviceAccess(device=Device(id="d"), credentials=(first, second)),
        DeviceAccess(device=Device(id="e"), credentials=()),
    ]
    await store.delete_credential(owner.guard, "d", "c1")
    assert (await store.access(["d"]))[0].credentials == (second,)
    with pytest.raises(NotFound, match="device 'd' has no credential 'c1'"):
        await store.delete_credential(owner.guard, "d", "c1")
    with pytest.raises(NotFound):
        await store.delete_credential(owner.guard, "e", "c2")


async def test_devices_are_listed_in_pages_by_the_bytes_of_their_ids(owner: Owner) -> None:
    ids = ["b", "A", "a", "a.1", "a-1", "Z", "10", "9", "a_1"]
    await owner.register(*ids)
    seen: list[str] = []
    cursor = None
    while True:
        page = await page_of(owner.store, limit=2, cursor=cursor)
        seen += [device.id for device in page.items]
        cursor = page.cursor
        if cursor is None:
            break
        assert cursor == seen[-1]
    assert seen == sorted(ids)


async def test_a_page_that_ends_with_the_last_device_has_no_cursor(owner: Owner) -> None:
    await owner.register("a", "b")
    page = await page_of(owner.store, limit=2)
    assert (len(page.items), page.cursor) == (2, None)


async def test_devices_are_found_by_room_and_label(owner: Owner) -> None:
    await owner.register("a", room="r1", labels={"floor": "1", "kind": "co2"})
    await owner.register("b", room="r2", labels={"floor": "1"})
    await owner.register("c", room="r1", labels={"floor": "2", "note": "x=y"})
    await owner.register("d", labels={"1": "floor"})
    store = owner.store
    assert await ids_of(store, room="r1") == ["a", "c"]
    assert await ids_of(store, label="floor=1") == ["a", "b"]
    assert await ids_of(store, room="r1", label="floor=1") == ["a"]
    assert await ids_of(store, label="note=x=y") == ["c"]
    assert await ids_of(store, label="floor") == []
    assert await ids_of(store, room="r") == []
    assert await ids_of(store, label="floor=1", cursor="a") == ["b"]


async def test_rooms_that_were_heard_of_are_listed_in_pages(owner: Owner) -> None:
    await owner.register("d", room="never heard of")
    await owner.commit(rooms={id_: RoomState() for id_ in ("r2", "R", "r10", "r1")})
    first = await owner.store.list_rooms(limit=3, cursor=None)
    assert first == Page(items=[Room(id=id_) for id_ in ("R", "r1", "r10")], cursor="r10")
    assert await owner.store.list_rooms(limit=3, cursor=first.cursor) == Page(items=[Room(id="r2")], cursor=None)


async def test_nobody_is_found_among_no_ids(store: Store) -> None:
    assert (await store.load_devices([]), await store.load_rooms([]), await store.access([])) == ({}, {}, [])
