"""The store in SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sqlite3 import Connection
from typing import Literal

from iot_system.adapters.sqlite import commands, credentials, history, ownership, records, registry, rooms
from iot_system.adapters.sqlite.database import Database
from iot_system.domain.access import Scope
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command, CommandStatus
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.questions import Failure
from iot_system.domain.registry import ApiToken, AuditEntry, Credential, Device, DeviceAccess, Page, Room
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.ports.store import AUDIT_KEPT_DAYS, COMMANDS_KEPT_DAYS, Claim, Guard, PartitionCommit

FORGET_AT_ONCE = 5_000
"""Rows that go in one transaction, so that none takes long."""


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

    async def check(self, guards: Sequence[Guard]) -> None:
        """See `Store.check`."""
        await self._database.read(ownership.check, guards)

    async def known(self, readings: Iterable[Reading]) -> set[tuple[str, str, int]]:
        """See `Store.known`."""
        return await self._database.read(history.known, readings)

    async def applied(self, stream: str) -> dict[int, int]:
        """See `Store.applied`."""
        return await self._database.read(ownership.applied, stream)

    async def load_devices(self, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState, list[Command]]]:
        """See `Store.load_devices`."""
        return await self._database.read(registry.load_devices, ids)

    async def load_rooms(self, ids: Sequence[str]) -> dict[str, tuple[Room, RoomState]]:
        """See `Store.load_rooms`."""
        return await self._database.read(rooms.load_rooms, ids)

    async def add_credential(self, guard: Guard, credential: Credential, audit: AuditEntry | None = None) -> None:
        """See `Store.add_credential`."""

        def write(connection: Connection) -> None:
            ownership.check(connection, [guard])
            credentials.add_credential(connection, credential, audit)

        await self._database.write(write)

    async def delete_credential(
        self, guard: Guard, device: str, credential: str, audit: AuditEntry | None = None
    ) -> None:
        """See `Store.delete_credential`."""

        def write(connection: Connection) -> None:
            ownership.check(connection, [guard])
            credentials.delete_credential(connection, device, credential, audit)

        await self._database.write(write)

    async def access(self, ids: Sequence[str]) -> list[DeviceAccess]:
        """See `Store.access`."""
        return await self._database.read(credentials.access, ids)

    async def list_devices(
        self, *, room: str | None, label: str | None, limit: int, cursor: str | None, scopes: Sequence[Scope] = ()
    ) -> Page:
        """See `Store.list_devices`."""
        return await self._database.read(
            registry.list_devices, room=room, label=label, limit=limit, cursor=cursor, scopes=scopes
        )

    async def members(self, room: str, *, limit: int) -> list[str]:
        """See `Store.members`."""
        return await self._database.read(registry.members, room, limit=limit)

    async def list_rooms(self, *, limit: int, cursor: str | None, scopes: Sequence[Scope] = ()) -> Page:
        """See `Store.list_rooms`."""
        return await self._database.read(rooms.list_rooms, limit=limit, cursor=cursor, scopes=scopes)

    async def commands(self, keys: Sequence[tuple[str, str]]) -> list[Command]:
        """See `Store.commands`."""
        return await self._database.read(commands.find, keys)

    async def list_commands(
        self, device: str, *, status: CommandStatus | Literal["pending"] | None, limit: int, cursor: str | None
    ) -> Page:
        """See `Store.list_commands`."""
        return await self._database.read(commands.list_commands, device, status=status, limit=limit, cursor=cursor)

    async def room_command(self, room: str, id_: str) -> list[Command]:
        """See `Store.room_command`."""
        return await self._database.read(commands.room_command, room, id_)

    async def failures(self, actor: Address) -> list[Failure]:
        """See `Store.failures`."""
        return await self._database.read(records.failures, actor)

    async def tokens(self, ids: Sequence[str]) -> list[ApiToken]:
        """See `Store.tokens`."""
        return await self._database.read(credentials.tokens, ids)

    async def put_token(self, token: ApiToken, audit: AuditEntry | None = None) -> None:
        """See `Store.put_token`."""
        await self._database.write(credentials.put_token, token, audit)

    async def delete_token(self, id_: str, audit: AuditEntry | None = None) -> None:
        """See `Store.delete_token`."""
        await self._database.write(credentials.delete_token, id_, audit)

    async def list_tokens(self, *, limit: int, cursor: str | None) -> Page:
        """See `Store.list_tokens`."""
        return await self._database.read(credentials.list_tokens, limit=limit, cursor=cursor)

    async def list_audit(self, *, target: str | None, by: str | None, limit: int, cursor: str | None) -> Page:
        """See `Store.list_audit`."""
        return await self._database.read(records.list_audit, target=target, by=by, limit=limit, cursor=cursor)

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
        for forget, days in (
            (commands.forget_commands, COMMANDS_KEPT_DAYS),
            (records.forget_audit, AUDIT_KEPT_DAYS),
        ):
            gone = FORGET_AT_ONCE
            while gone == FORGET_AT_ONCE:
                before_us = now_us - days * history.DAY_US
                gone = await self._database.write(forget, before_us=before_us, limit=FORGET_AT_ONCE)

    async def unarchived_s(self) -> float:
        """See `Store.unarchived_s`: nothing is archived here."""
        return 0.0
