"""The store in Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from iot_system.adapters.postgres import history, ownership, registry, schema
from iot_system.adapters.postgres.database import Database
from iot_system.adapters.postgres.days import DAY_US, Days
from iot_system.adapters.postgres.metrics import Metrics
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.ports.store import Claim, Guard, PartitionCommit


class PostgresStore:
    """Implements `iot_system.ports.store.Store`; each method is described there."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._metrics = Metrics(self._database)
        self._days = Days(self._database)

    async def start(self) -> None:
        """See `Store.start`."""
        async with self._database.alone() as connection:
            await schema.check(connection, self._database.server)
        await self._database.start()

    async def stop(self) -> None:
        """See `Store.stop`."""
        await self._database.stop()

    async def claim(self, partitions: Iterable[int], owner: str, stream: str) -> dict[int, Claim]:
        """See `Store.claim`."""
        self._metrics.forget()
        self._days.forget()
        async with self._database.transaction() as connection:
            return await ownership.claim(connection, partitions, owner, stream)

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        """See `Store.commit`."""
        metrics = await self._metrics.keys({reading.metric for one in commits for reading in one.readings})
        await self._days.prepare({reading.time_us // DAY_US for one in commits for reading in one.readings})
        try:
            async with self._database.transaction() as connection:
                await ownership.commit(connection, commits, metrics, merge=False)
        except asyncpg.UniqueViolationError:
            async with self._database.transaction() as connection:
                await ownership.commit(connection, commits, metrics, merge=True)

    async def known(self, readings: Iterable[Reading]) -> set[tuple[str, str, int]]:
        """See `Store.known`."""
        async with self._database.session() as session:
            return await history.known(session, list(readings))

    async def applied(self, stream: str) -> dict[int, int]:
        """See `Store.applied`."""
        async with self._database.session() as session:
            return await ownership.applied(session, stream)

    async def load_devices(self, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState]]:
        """See `Store.load_devices`."""
        async with self._database.session() as session:
            return await registry.load_devices(session, ids)

    async def load_rooms(self, ids: Sequence[str]) -> dict[str, RoomState]:
        """See `Store.load_rooms`."""
        async with self._database.session() as session:
            return await registry.load_rooms(session, ids)

    async def put_devices(self, guard: Guard, devices: Sequence[Device]) -> list[str]:
        """See `Store.put_devices`."""
        async with self._database.transaction() as connection:
            await ownership.check(connection, guard)
            return await registry.put_devices(connection, devices)

    async def save_device(self, guard: Guard, device: Device) -> None:
        """See `Store.save_device`."""
        async with self._database.transaction() as connection:
            await ownership.check(connection, guard)
            await registry.save_device(connection, device)

    async def delete_device(self, guard: Guard, id_: str) -> None:
        """See `Store.delete_device`."""
        async with self._database.transaction() as connection:
            await ownership.check(connection, guard)
            await registry.delete_device(connection, id_)

    async def add_credential(self, guard: Guard, credential: Credential) -> None:
        """See `Store.add_credential`."""
        async with self._database.transaction() as connection:
            await ownership.check(connection, guard)
            await registry.add_credential(connection, credential)

    async def delete_credential(self, guard: Guard, device: str, credential: str) -> None:
        """See `Store.delete_credential`."""
        async with self._database.transaction() as connection:
            await ownership.check(connection, guard)
            await registry.delete_credential(connection, device, credential)

    async def access(self, ids: Sequence[str]) -> list[DeviceAccess]:
        """See `Store.access`."""
        async with self._database.session() as session:
            return await registry.access(session, ids)

    async def list_devices(self, *, room: str | None, label: str | None, limit: int, cursor: str | None) -> Page:
        """See `Store.list_devices`."""
        async with self._database.session() as session:
            return await registry.list_devices(session, room=room, label=label, limit=limit, cursor=cursor)

    async def list_rooms(self, *, limit: int, cursor: str | None) -> Page:
        """See `Store.list_rooms`."""
        async with self._database.session() as session:
            return await registry.list_rooms(session, limit=limit, cursor=cursor)

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        """See `Store.readings`."""
        async with self._database.session() as session:
            return await history.read(session, query)

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        """See `Store.buckets`."""
        async with self._database.session() as session:
            return await history.buckets(session, query)

    async def maintain(self, *, now_us: int, retention_days: int) -> None:
        """See `Store.maintain`."""
        await self._days.maintain(now_us=now_us, retention_days=retention_days)
        tables = await self._days.tables()
        async with self._database.session() as session:
            await registry.purge(session, tables)
