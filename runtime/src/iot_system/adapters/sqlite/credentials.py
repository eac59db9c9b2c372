"""Who may come in: devices' credentials, and the tokens of people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from iot_system.adapters.registrations import DEVICE, TOKEN, device_of, json_text, not_registered, token_of
from iot_system.adapters.sqlite.records import write_audit
from iot_system.domain.registry import ApiToken, AuditEntry, Credential, DeviceAccess, Page
from iot_system.errors import NotFound

_AMONG = "in (select value from json_each(?))"


def add_credential(connection: Connection, credential: Credential, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.add_credential`."""
    row = connection.execute("select key from devices where id = ?", (credential.device,)).fetchone()
    if row is None:
        raise not_registered(credential.device)
    added = connection.execute(
        "insert into credentials (device, id, sha256, created_us) values (?, ?, ?, ?) on conflict do nothing",
        (*row, credential.id, credential.sha256, credential.created_us),
    )
    if added.rowcount and audit:
        write_audit(connection, [audit])


def delete_credential(connection: Connection, device: str, credential: str, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.delete_credential`."""
    deleted = connection.execute(
        "delete from credentials where device = (select key from devices where id = ?) and id = ?",
        (device, credential),
    )
    if not deleted.rowcount:
        raise NotFound(f"device {device!r} has no credential {credential!r}")
    if audit:
        write_audit(connection, [audit])


def access(connection: Connection, ids: Sequence[str]) -> list[DeviceAccess]:
    """See `iot_system.ports.store.Store.access`."""
    text = json_text(ids)
    rows = connection.execute(
        f"select {DEVICE} from devices d where d.id {_AMONG} order by d.id",  # noqa: S608
        (text,),
    ).fetchall()
    credentials: dict[str, list[Credential]] = {row[0]: [] for row in rows}
    for id_, device, sha256, created_us in connection.execute(
        "select c.id, d.id, c.sha256, c.created_us from credentials c join devices d on d.key = c.device "  # noqa: S608
        f"where d.id {_AMONG} order by c.created_us, c.id",
        (text,),
    ):
        credentials[device].append(Credential(id=id_, device=device, sha256=sha256, created_us=created_us))
    return [DeviceAccess(device=device_of(*row), credentials=tuple(credentials[row[0]])) for row in rows]


def tokens(connection: Connection, ids: Sequence[str]) -> list[ApiToken]:
    """See `iot_system.ports.store.Store.tokens`."""
    rows = connection.execute(
        f"select {TOKEN} from api_tokens where id {_AMONG} order by id",  # noqa: S608
        (json_text(ids),),
    )
    return [token_of(*row) for row in rows]


def put_token(connection: Connection, token: ApiToken, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.put_token`."""
    added = connection.execute(
        f"insert into api_tokens ({TOKEN}) values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",  # noqa: S608
        (
            *(token.id, token.name, token.role, json_text(token.scopes), token.sha256),
            *(token.created_us, token.expires_us, token.created_by),
        ),
    )
    if added.rowcount and audit:
        write_audit(connection, [audit])


def delete_token(connection: Connection, id_: str, audit: AuditEntry | None) -> None:
    """See `iot_system.ports.store.Store.delete_token`."""
    if not connection.execute("delete from api_tokens where id = ?", (id_,)).rowcount:
        raise NotFound(f"there is no token {id_!r}")
    if audit:
        write_audit(connection, [audit])


def list_tokens(connection: Connection, *, limit: int, cursor: str | None) -> Page:
    """See `iot_system.ports.store.Store.list_tokens`."""
    rows = connection.execute(
        f"select {TOKEN} from api_tokens where ?1 is null or id > ?1 order by id limit ?2",  # noqa: S608
        (cursor, limit + 1),
    )
    found = [token_of(*row) for row in rows]
    return Page(items=found[:limit], cursor=found[limit - 1].id if len(found) > limit else None)
