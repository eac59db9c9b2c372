"""Who changed what, and the messages at which behaviours raised."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection

from iot_system.adapters.registrations import AUDIT, audit_of, failure_row, json_text, number_of
from iot_system.domain.addresses import Address
from iot_system.domain.questions import Failure
from iot_system.domain.registry import AuditEntry, Page
from iot_system.ports.store import FAILURES_KEPT


def write_audit(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Append."""
    connection.executemany(
        f"insert into audit ({AUDIT}) values (?, ?, ?, ?, ?)",  # noqa: S608
        [(one.time_us, one.by, one.action, one.target, json_text(one.detail)) for one in entries],
    )


def list_audit(connection: Connection, *, target: str | None, by: str | None, limit: int, cursor: str | None) -> Page:
    """See `iot_system.ports.store.Store.list_audit`."""
    rows = connection.execute(
        f"select key, {AUDIT} from audit where (?1 is null or key < ?1) and (?2 is null or target = ?2) "  # noqa: S608
        "and (?3 is null or author = ?3) order by key desc limit ?4",
        (number_of(cursor), target, by, limit + 1),
    ).fetchall()
    return Page(
        items=[audit_of(*row[1:]) for row in rows[:limit]],
        cursor=str(rows[limit - 1][0]) if len(rows) > limit else None,
    )


def forget_audit(connection: Connection, *, before_us: int, limit: int) -> int:
    """Delete up to ``limit`` of what is older; returns how many there were."""
    return connection.execute(
        "delete from audit where key in (select key from audit where time_us < ? limit ?)", (before_us, limit)
    ).rowcount


def write_failures(connection: Connection, failures: Sequence[Failure]) -> None:
    """Keep the newest of each actor."""
    connection.executemany(
        "insert into failures (kind, id, time_us, handler, error, message) values (?, ?, ?, ?, ?, ?)",
        [failure_row(one) for one in failures],
    )
    connection.executemany(
        "delete from failures where kind = ?1 and id = ?2 and key <= "
        "(select key from failures where kind = ?1 and id = ?2 order by key desc limit 1 offset ?3)",
        [(actor.kind, actor.id, FAILURES_KEPT) for actor in {one.actor for one in failures}],
    )


def failures(connection: Connection, actor: Address) -> list[Failure]:
    """See `iot_system.ports.store.Store.failures`."""
    rows = connection.execute(
        "select time_us, handler, error, message from failures where kind = ? and id = ? order by key desc",
        (actor.kind, actor.id),
    )
    return [
        Failure(actor=actor, time_us=time_us, handler=handler, error=error, message=message)
        for time_us, handler, error, message in rows
    ]


def remove_failures(connection: Connection, actors: Sequence[Address]) -> None:
    """Of actors that are no more."""
    connection.executemany(
        "delete from failures where kind = ? and id = ?", [(actor.kind, actor.id) for actor in actors]
    )
