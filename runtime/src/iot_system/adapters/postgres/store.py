"""The store in Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import asyncpg

from iot_system.adapters.postgres import commands, credentials, history, ownership, records, registry, rooms, schema
from iot_system.adapters.postgres.database import Database
from iot_system.adapters.postgres.days import DAY_US, Days
from iot_system.adapters.postgres.holders import ending_holders
from iot_system.adapters.postgres.metrics import Metrics
from iot_system.adapters.postgres.small import SmallCommits
from iot_system.domain.access import Scope
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command, CommandStatus
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.questions import Failure
from iot_system.domain.registry import ApiToken, AuditEntry, Credential, Device, DeviceAccess, Page, Room
from iot_system.domain.twin import DeviceState, RoomState
from iot_system.ports.store import AUDIT_KEPT_DAYS, COMMANDS_KEPT_DAYS, Claim, Guard, PartitionCommit
from iot_system.settings import DatabaseTlsSettings

FORGET_AT_ONCE = 5_000
"""Rows that go in one transaction, so that none takes long."""
_UNARCHIVED_S = """
select coalesce(max(extract(epoch from now() - greatest(last_archived_time, stats_reset))), 0)
from pg_stat_archiver where last_failed_time > coalesce(last_archived_time, '-infinity')
"""


class PostgresStore:
    """Implements `iot_system.ports.store.Store`; each method is described there."""

    def __init__(self, url: str, tls: DatabaseTlsSettings) -> None:
        self._database = Database(url, tls)
        self._metrics = Metrics(self._database)
        self._days = Days(self._database)
        self._small = SmallCommits()

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
        async with (
            self._database.transaction() as connection,
            ending_holders(self._database, connection.get_server_pid()),
        ):
            claims = await ownership.claim(connection, partitions, owner, stream)
        self._small.claimed(claims.values())
        return claims

    async def commit(self, commits: Sequence[PartitionCommit]) -> None:
        """See `Store.commit`."""
        if self._small.takes(commits):
            async with self._database.session() as session:
                if await self._small.write(session, commits[0]):
                    return
        messages = [message for one in commits for message in one.readings]
        metrics = await self._metrics.keys(set[str]().union(*[message.values for message in messages]))
        await self._days.prepare({message.time_us // DAY_US for message in messages})
        try:
            async with self._database.transaction() as connection:
                await ownership.commit(connection, commits, metrics, merge=False)
        except asyncpg.UniqueViolationError:
            async with self._database.transaction() as connection:
                await ownership.commit(connection, commits, metrics, merge=True)
        self._small.committed(commits)

    async def check(self, guards: Sequence[Guard]) -> None:
        """See `Store.check`."""
        async with self._database.reading() as session:
            await ownership.check(session, guards)

    async def known(self, readings: Iterable[Reading]) -> set[tuple[str, str, int]]:
        """See `Store.known`."""
        async with self._database.session() as session:
            return await history.known(session, list(readings))

    async def applied(self, stream: str) -> dict[int, int]:
        """See `Store.applied`."""
        async with self._database.session() as session:
            found = await ownership.applied(session, stream)
            await session.confirm(0)  # the stream is trimmed by it: it must be true for the next primary, too
            return found

    async def load_devices(self, ids: Sequence[str]) -> dict[str, tuple[Device, DeviceState, list[Command]]]:
        """See `Store.load_devices`."""
        async with self._database.reading() as session:
            return await registry.load_devices(session, ids)

    async def load_rooms(self, ids: Sequence[str]) -> dict[str, tuple[Room, RoomState]]:
        """See `Store.load_rooms`."""
        async with self._database.reading() as session:
            return await rooms.load_rooms(session, ids)

    async def add_credential(self, guard: Guard, credential: Credential, audit: AuditEntry | None = None) -> None:
        """See `Store.add_credential`."""
        async with self._database.transaction() as connection:
            await ownership.hold(connection, guard)
            await credentials.add_credential(connection, credential, audit)

    async def delete_credential(
        self, guard: Guard, device: str, credential: str, audit: AuditEntry | None = None
    ) -> None:
        """See `Store.delete_credential`."""
        async with self._database.transaction() as connection:
            await ownership.hold(connection, guard)
            await credentials.delete_credential(connection, device, credential, audit)

    async def access(self, ids: Sequence[str]) -> list[DeviceAccess]:
        """See `Store.access`."""
        async with self._database.reading() as session:
            return await credentials.access(session, ids)

    async def list_devices(
        self, *, room: str | None, label: str | None, limit: int, cursor: str | None, scopes: Sequence[Scope] = ()
    ) -> Page:
        """See `Store.list_devices`."""
        async with self._database.reading() as session:
            return await registry.list_devices(
                session, room=room, label=label, limit=limit, cursor=cursor, scopes=scopes
            )

    async def members(self, room: str, *, limit: int) -> list[str]:
        """See `Store.members`."""
        async with self._database.reading() as session:
            return await registry.members(session, room, limit=limit)

    async def list_rooms(self, *, limit: int, cursor: str | None, scopes: Sequence[Scope] = ()) -> Page:
        """See `Store.list_rooms`."""
        async with self._database.reading() as session:
            return await rooms.list_rooms(session, limit=limit, cursor=cursor, scopes=scopes)

    async def commands(self, keys: Sequence[tuple[str, str]]) -> list[Command]:
        """See `Store.commands`."""
        async with self._database.reading() as session:
            return await commands.find(session, keys)

    async def list_commands(
        self, device: str, *, status: CommandStatus | Literal["pending"] | None, limit: int, cursor: str | None
    ) -> Page:
        """See `Store.list_commands`."""
        async with self._database.reading() as session:
            return await commands.list_commands(session, device, status=status, limit=limit, cursor=cursor)

    async def room_command(self, room: str, id_: str) -> list[Command]:
        """See `Store.room_command`."""
        async with self._database.reading() as session:
            return await commands.room_command(session, room, id_)

    async def failures(self, actor: Address) -> list[Failure]:
        """See `Store.failures`."""
        async with self._database.reading() as session:
            return await records.failures(session, actor)

    async def tokens(self, ids: Sequence[str]) -> list[ApiToken]:
        """See `Store.tokens`."""
        async with self._database.reading() as session:
            return await credentials.tokens(session, ids)

    async def put_token(self, token: ApiToken, audit: AuditEntry | None = None) -> None:
        """See `Store.put_token`."""
        async with self._database.transaction() as connection:
            await credentials.put_token(connection, token, audit)

    async def delete_token(self, id_: str, audit: AuditEntry | None = None) -> None:
        """See `Store.delete_token`."""
        async with self._database.transaction() as connection:
            await credentials.delete_token(connection, id_, audit)

    async def list_tokens(self, *, limit: int, cursor: str | None) -> Page:
        """See `Store.list_tokens`."""
        async with self._database.reading() as session:
            return await credentials.list_tokens(session, limit=limit, cursor=cursor)

    async def list_audit(self, *, target: str | None, by: str | None, limit: int, cursor: str | None) -> Page:
        """See `Store.list_audit`."""
        async with self._database.reading() as session:
            return await records.list_audit(session, target=target, by=by, limit=limit, cursor=cursor)

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        """See `Store.readings`."""
        async with self._database.reading() as session:
            return await history.read(session, query)

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        """See `Store.buckets`."""
        async with self._database.reading() as session:
            return await history.buckets(session, query)

    async def maintain(self, *, now_us: int, retention_days: int) -> None:
        """See `Store.maintain`."""
        await self._days.maintain(now_us=now_us, retention_days=retention_days)
        stretches = await self._days.stretches()
        async with self._database.session() as session:
            await registry.purge(session, stretches)
        for forget, days in (
            (commands.forget_commands, COMMANDS_KEPT_DAYS),
            (records.forget_audit, AUDIT_KEPT_DAYS),
        ):
            gone = FORGET_AT_ONCE
            while gone == FORGET_AT_ONCE:
                async with self._database.session() as session:
                    gone = await forget(session, before_us=now_us - days * DAY_US, limit=FORGET_AT_ONCE)

    async def unarchived_s(self) -> float:
        """See `Store.unarchived_s`."""
        async with self._database.session() as session:
            return float(await session.fetchval(_UNARCHIVED_S))
