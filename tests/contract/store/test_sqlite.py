"""What only SQLite does: one file that outlives its processes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from iot_system.adapters.sqlite import database
from iot_system.adapters.stores import migrate_store, open_store
from iot_system.domain.history import HistoryQuery, Reading
from iot_system.domain.registry import Room
from iot_system.domain.twin import RoomState
from iot_system.errors import Unavailable

from tests.contract.store.owner import STREAM, Owner


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "iot.db"


async def test_a_file_holds_everything_when_it_is_opened_again(path: Path) -> None:
    for epoch in (1, 2):
        store = open_store(f"sqlite:///{path}")
        await store.start()
        owner = await Owner.of(store)
        await owner.register("d")
        await owner.commit([Reading("d", "m", epoch, 1.0)])
        assert (owner.claim.epoch, owner.position) == (epoch, epoch)
        await store.stop()
    await store.start()
    assert (await store.readings(HistoryQuery(device="d"))).items == [
        Reading("d", "m", 1, 1.0),
        Reading("d", "m", 2, 1.0),
    ]
    await store.stop()


async def test_each_memory_is_its_own() -> None:
    stores = [open_store("sqlite:///:memory:") for _ in range(2)]
    for store in stores:
        await store.start()
    await Owner.of(stores[0])
    assert [await store.applied(STREAM) for store in stores] == [{0: 0}, {}]
    for store in stores:
        await store.stop()
        await store.stop()


async def test_a_store_that_was_stopped_says_so(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    with pytest.raises(Unavailable, match=f"the database {path} is not open"):
        await store.applied(STREAM)


async def test_a_file_that_somebody_else_locks_is_told_and_works_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT_S", 0.05)
    store = open_store(f"sqlite:///{path}")
    await store.start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(Unavailable, match=f"the database {path} cannot be used: database is locked"):
            await Owner.of(store)
        other.execute("rollback")
    assert (await Owner.of(store)).claim.epoch == 1
    await store.stop()


async def test_a_full_disk_is_told_and_changes_nothing(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    await store.start()
    owner = await Owner.of(store)
    await owner.register("d")
    await store._database.read(lambda connection: connection.execute("pragma max_page_count = 100").fetchone())  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="database or disk is full"):
        await owner.commit([Reading("d", "m", time_us, "x" * 1000) for time_us in range(1000)])
    assert await store.applied(STREAM) == {0: 0}
    assert (await store.readings(HistoryQuery(device="d"))).items == []
    await store.stop()


async def test_a_file_of_an_older_version_is_brought_up_to_date_and_keeps_what_it_has(path: Path) -> None:
    first, *_ = database._migrations()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(first)
        connection.executescript(
            "insert into partitions values (0, 4, 'owner', 'stream-1', 9, x'80', x'80');"
            "insert into devices values (7, 'd', 'lab', 'x:Y', '{}', 1, 1, 2); insert into rooms values ('lab', x'80');"
            "pragma user_version = 1"
        )
    store = open_store(f"sqlite:///{path}")
    await store.start()
    owner = await Owner.of(store)
    assert (owner.claim.epoch, owner.claim.applied, owner.claim.revision) == (5, 9, 0)
    await owner.commit([Reading("d", "m", 1, 1.0)])
    assert (await store.load_devices(["d"]))["d"][0].room == "lab"
    assert await store.load_rooms(["lab"]) == {"lab": (Room(id="lab"), RoomState())}
    await store.stop()


async def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma user_version = 7")
    with pytest.raises(Unavailable, match="has schema 7, which a newer version made; this one knows 2"):
        await open_store(f"sqlite:///{path}").start()


async def test_what_is_no_database_or_no_place_for_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened: file is not a database"):
        await open_store(f"sqlite:///{__file__}").start()
    with pytest.raises(Unavailable, match="cannot be opened: unable to open database file"):
        await open_store(f"sqlite:///{tmp_path}/missing/iot.db").start()


async def test_there_is_nothing_to_migrate(path: Path) -> None:
    await migrate_store(f"sqlite:///{path}")
    store = open_store(f"sqlite:///{path}")
    await store.start()
    assert await store.applied(STREAM) == {}
    await store.stop()
