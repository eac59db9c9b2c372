"""The store in SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sqlite3 import Connection

from iot_system.adapters.sqlite import history, ownership, registry
from iot_system.adapters.sqlite.database import Database
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.ports.store import Claim, Guard, PartitionCommit


class SqliteStore:
    """Implements `iot_system.ports.store.Store`; each method is described there."""

    def __init__(self, path: str) -> None:
        self._database = Database(path)

    async def start(self) -> None:
        """See `Store.start`; the schema comes by itself."""
        await self._database.start()

    async def stop(self) -> None:
        """See `Store.stop`."""
        await self._database.stop()

    async def claim(self, partitions: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
        """See `Store.claim`."""
        return await self._database.write(ownership.claim, partitions, owner, stream)

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        """See `Store.commit`."""
        await self._database.write(ownership.commit, commits)

    async def known(self, readings: Iterable[Reading]) -> set[tuple[str, str, int]]:
        """See `Store.known`."""
        return await self._database.read(history.known, readings)

    async def applied(self, stream: str) -> dict[int, int]:
        """See `Store.applied`."""
        return await self._database.read(ownership.applied, stream)

    async def load_devices(self, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState]]:
        """See `Store.load_devices`."""
        return await self._database.read(registry.load_devices, ids)

    async def load_rooms(self, ids: Sequence[str]) -> dict[str, RoomState]:
        """See `Store.load_rooms`."""
        return await self._database.read(registry.load_rooms, ids)

    async def put_devices(self, guard: Guard, devices: Sequence[Device]) -> list[str]:
        """See `Store.put_devices`."""

        def put(connection: Connection) -> list[str]:
            ownership.check(connection, guard)
            return registry.put_devices(connection, devices)

        return await self._database.write(put)

    async def save_device(self, guard: Guard, device: Device) -> None:
        """See `Store.save_device`."""

        def save(connection: Connection) -> None:
            ownership.check(connection, guard)
            registry.save_device(connection, device)

        await self._database.write(save)

    async def delete_device(self, guard: Guard, id_: str) -> None:
        """See `Store.delete_device`."""

        def delete(connection: Connection) -> None:
            ownership.check(connection, guard)
            registry.delete_device(connection, id_)

        await self._database.write(delete)

    async def add_credential(self, guard: Guard, credential: Credential) -> None:
        """See `Store.add_credential`."""

        def add(connection: Connection) -> None:
            ownership.check(connection, guard)
            registry.add_credential(connection, credential)

        await self._database.write(add)

    async def delete_credential(self, guard: Guard, device: str, credential: str) -> None:
        """See `Store.delete_credential`."""

        def delete(connection: Connection) -> None:
            ownership.check(connection, guard)
            registry.delete_credential(connection, device, credential)

        await self._database.write(delete)

    async def access(self, ids: Sequence[str]) -> list[DeviceAccess]:
        """See `Store.access`."""
        return await self._database.read(registry.access, ids)

    async def list_devices(self, *, room: str | None, label: str | None, limit: int, cursor: str | None) -> Page:
        """See `Store.list_devices`."""
        return await self._database.read(registry.list_devices, room=room, label=label, limit=limit, cursor=cursor)

    async def list_rooms(self, *, limit: int, cursor: str | None) -> Page:
        """See `Store.list_rooms`."""
        return await self._database.read(registry.list_rooms, limit=limit, cursor=cursor)

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        """See `Store.readings`."""
        return await self._database.read(history.read, query)

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        """See `Store.buckets`."""
        return await self._database.read(history.buckets, query)

    async def maintain(self, *, now_us: int, retention_days: int) -> None:
        """See `Store.maintain`."""
        if retention_days:
            before_us = (now_us // history.DAY_US - retention_days) * history.DAY_US
            await self._database.write(history.drop, before_us=before_us)
