"""Who may come in: devices' credentials, and the tokens of people and programs."""

from __future__ import annotations

from collections.abc import Sequence

from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.postgres.records import write_audit
from iot_system.adapters.registrations import DEVICE, TOKEN, device_of, json_text, not_registered, token_of
from iot_system.domain.registry import ApiToken, AuditEntry, Credential, DeviceAccess, Page
from iot_system.errors import NotFound


async def add_credential(connection: Connection, credential: Credential, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.add_credential`."""
    key = await connection.fetchval("select key from devices where id = $1", credential.device)
    if key is None:
        raise not_registered(credential.device)
    added = await connection.fetchval(
        "insert into credentials (device, id, sha256, created_us) values ($1, $2, $3, $4) on conflict do nothing "
        "returning id",
        key,
        credential.id,
        credential.sha256,
        credential.created_us,
    )
    if added and audit:
        await write_audit(connection, [audit])


async def delete_credential(connection: Connection, device: str, credential: str, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.delete_credential`."""
    deleted = await connection.fetchval(
        "delete from credentials c using devices d where d.key = c.device and d.id = $1 and c.id = $2 returning c.id",
        device,
        credential,
    )
    if deleted is None:
        raise NotFound(f"device {device!r} has no credential {credential!r}")
    if audit:
        await write_audit(connection, [audit])


async def access(connection: Connection, ids: Sequence[str]) -> list[DeviceAccess]:
    """See `iot_system.ports.store.Store.access`."""
    rows = await connection.fetch(
        f"select {DEVICE} from devices d where d.id = any($1) order by d.id",  # noqa: S608
        ids,
    )
    credentials: dict[str, list[Credential]] = {row[0]: [] for row in rows}
    for id_, device, sha256, created_us in await connection.fetch(
        "select c.id, d.id, c.sha256, c.created_us from credentials c join devices d on d.key = c.device "
        "where d.id = any($1) order by c.created_us, c.id",
        ids,
    ):
        if device in credentials:  # registered between the two statements
            credentials[device].append(Credential(id=id_, device=device, sha256=sha256, created_us=created_us))
    return [DeviceAccess(device=device_of(*row), credentials=tuple(credentials[row[0]])) for row in rows]


async def tokens(connection: Connection, ids: Sequence[str]) -> list[ApiToken]:
    """See `iot_system.ports.store.Store.tokens`."""
    rows = await connection.fetch(f"select {TOKEN} from api_tokens where id = any($1) order by id", ids)  # noqa: S608
    return [token_of(*row) for row in rows]


async def put_token(connection: Connection, token: ApiToken, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.put_token`."""
    added = await connection.fetchval(
        f"insert into api_tokens ({TOKEN}) values ($1, $2, $3, $4, $5, $6, $7, $8) "  # noqa: S608
        "on conflict do nothing returning id",
        token.id,
        token.name,
        token.role,
        json_text(token.scopes),
        token.sha256,
        token.created_us,
        token.expires_us,
        token.created_by,
    )
    if added and audit:
        await write_audit(connection, [audit])


async def delete_token(connection: Connection, id_: str, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.delete_token`."""
    if await connection.fetchval("delete from api_tokens where id = $1 returning id", id_) is None:
        raise NotFound(f"there is no token {id_!r}")
    if audit:
        await write_audit(connection, [audit])


async def list_tokens(connection: Connection, *, limit: int, cursor: str | None) -> Page:
    """See `iot_system.ports.store.Store.list_tokens`."""
    rows = await connection.fetch(
        f"select {TOKEN} from api_tokens where $1::text is null or id > $1 order by id limit $2",  # noqa: S608
        cursor,
        limit + 1,
    )
    found = [token_of(*row) for row in rows]
    return Page(items=found[:limit], cursor=found[limit - 1].id if len(found) > limit else None)
