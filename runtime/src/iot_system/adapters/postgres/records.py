"""Who changed what, and the messages at which behaviours raised."""

from __future__ import annotations

from collections.abc import Sequence

from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.registrations import AUDIT, audit_of, failure_row, json_text, number_of
from iot_system.domain.addresses import Address
from iot_system.domain.questions import Failure
from iot_system.domain.registry import AuditEntry, Page
from iot_system.ports.store import FAILURES_KEPT


async def write_audit(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Append."""
    await connection.executemany(
        f"insert into audit ({AUDIT}) values ($1, $2, $3, $4, $5)",  # noqa: S608
        [(one.time_us, one.by, one.action, one.target, json_text(one.detail)) for one in entries],
    )


async def list_audit(
    connection: Connection, *, target: str | None, by: str | None, limit: int, cursor: str | None
) -> Page:
    """See `iot_system.ports.store.Store.list_audit`."""
    rows = await connection.fetch(
        f"select key, {AUDIT} from audit where ($1::bigint is null or key < $1) "  # noqa: S608
        "and ($2::text is null or target = $2) and ($3::text is null or author = $3) order by key desc limit $4",
        number_of(cursor),
        target,
        by,
        limit + 1,
    )
    return Page(
        items=[audit_of(*row[1:]) for row in rows[:limit]],
        cursor=str(rows[limit - 1][0]) if len(rows) > limit else None,
    )


async def forget_audit(connection: Connection, *, before_us: int, limit: int) -> int:
    """Delete up to ``limit`` of what is older; returns how many there were."""
    gone = await connection.fetch(
        "delete from audit where key in (select key from audit where time_us < $1 limit $2) returning 1",
        before_us,
        limit,
    )
    return len(gone)


async def write_failures(connection: Connection, failures: Sequence[Failure]) -> None:
    """Keep the newest of each actor."""
    await connection.executemany(
        "insert into failures (kind, id, time_us, handler, error, message) values ($1, $2, $3, $4, $5, $6)",
        [failure_row(one) for one in failures],
    )
    await connection.executemany(
        "delete from failures where kind = $1 and id = $2 and key <= "
        "(select key from failures where kind = $1 and id = $2 order by key desc offset $3 limit 1)",
        [(actor.kind, actor.id, FAILURES_KEPT) for actor in {one.actor for one in failures}],
    )


async def failures(connection: Connection, actor: Address) -> list[Failure]:
    """See `iot_system.ports.store.Store.failures`."""
    rows = await connection.fetch(
        "select time_us, handler, error, message from failures where kind = $1 and id = $2 order by key desc",
        actor.kind,
        actor.id,
    )
    return [
        Failure(actor=actor, time_us=time_us, handler=handler, error=error, message=message)
        for time_us, handler, error, message in rows
    ]


async def remove_failures(connection: Connection, actors: Sequence[Address]) -> None:
    """Of actors that are no more."""
    await connection.execute(
        "delete from failures f using unnest($1::text[], $2::text[]) a (kind, id) "
        "where f.kind = a.kind and f.id = a.id",
        [actor.kind for actor in actors],
        [actor.id for actor in actors],
    )
