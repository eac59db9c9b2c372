"""A commit of one partition that brings no readings, in one statement: one round trip instead of ten.

What users change is such a commit, what devices answer, what is due: somebody waits for most of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from iot_system.adapters.blobs import encode_blob
from iot_system.adapters.commands import CHANGING, COLUMNS, row_of
from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.registrations import AUDIT, json_text
from iot_system.ports.store import Claim, PartitionCommit

_COMMAND = ", ".join(COLUMNS)
_TYPES = {"payload": "json", "result": "json"}
_CASTS = ", ".join(f"c.{name}::{_TYPES[name]}" if name in _TYPES else f"c.{name}" for name in COLUMNS)
# All that is written depends on ``moved``: nothing is, where that finds no row.
_COMMIT = f"""
with moved as (
    update partitions set revision = $3::bigint + 1, applied = $4, received = $5, sent = $6
    where number = $1 and epoch = $2 and revision = $3 returning number
), published as (
    delete from outbox o using moved, unnest($7::integer[], $8::bigint[]) p (target, number)
    where o.source = moved.number and o.target = p.target and o.number <= p.number
), leaving as (
    insert into outbox select moved.number, m.* from moved, unnest($9::integer[], $10::bigint[], $11::bytea[]) m
), states as (
    insert into device_states select d.key, s.state
    from moved, unnest($12::text[], $13::bytea[]) s (id, state) join devices d on d.id = s.id
    on conflict (device) do update set state = excluded.state
), given as (
    insert into commands (device, {_COMMAND}) select d.key, {_CASTS}
    from moved, unnest(
        $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::bigint[], $20::bigint[], $21::bigint[],
        $22::text[], $23::text[], $24::text[], $25::text[], $26::integer[]
    ) c (device, {_COMMAND}) join devices d on d.id = c.device
    on conflict (device, id) do update set {CHANGING}
), due as (
    insert into timers select moved.number, t.* from moved, unnest($27::text[], $28::text[], $29::bigint[]) t
    on conflict (partition, kind, id) do update set due_us = excluded.due_us
), never as (
    delete from timers t using moved, unnest($30::text[], $31::text[]) a (kind, id)
    where t.partition = moved.number and t.kind = a.kind and t.id = a.id
), noted as (
    insert into audit ({AUDIT}) select a.time_us, a.author, a.action, a.target, a.detail::json
    from moved, unnest($32::bigint[], $33::text[], $34::text[], $35::text[], $36::text[]) a ({AUDIT})
)
select count(*) from moved
"""  # noqa: S608


_WRITTEN = frozenset(
    {
        *("partition", "epoch", "revision", "applied", "received", "sent", "published", "outbox"),
        *("devices", "commands", "timers", "audit"),
    }
)
_OTHERS = [name for name in PartitionCommit.__struct_fields__ if name not in _WRITTEN]
"""What a small commit has nothing of."""


class _Numbers(msgspec.Struct):
    """Of messages between actors, as the row of a partition has them since ``revision``."""

    revision: int
    received: dict[int, int]
    sent: dict[int, int]


class SmallCommits:
    """Remembers the numbers of claimed partitions: so a commit overwrites what it does not have to read."""

    def __init__(self) -> None:
        self._numbers: dict[int, _Numbers] = {}

    def claimed(self, claims: Iterable[Claim]) -> None:
        """Partitions were taken over; what was known of them is outdated."""
        for claim in claims:
            self._numbers[claim.partition] = _Numbers(claim.revision, dict(claim.received), dict(claim.sent))

    def committed(self, commits: Sequence[PartitionCommit]) -> None:
        """These are in the database."""
        for one in commits:
            known = self._numbers.get(one.partition)
            if known is not None and known.revision == one.revision - 1:
                self._numbers[one.partition] = _after(known, one)
            elif known is not None and known.revision != one.revision:
                del self._numbers[one.partition]

    def takes(self, commits: Sequence[PartitionCommit]) -> bool:
        """Whether `write` may try it."""
        if len(commits) != 1 or not _is_small(commits[0]):
            return False
        known = self._numbers.get(commits[0].partition)
        return known is not None and known.revision == commits[0].revision - 1

    async def write(self, connection: Connection, commit: PartitionCommit) -> bool:
        """Write one that it `takes`; False where it does not fit: nothing is written, and the longer way says why."""
        known = self._numbers[commit.partition]
        after = _after(known, commit)
        states = commit.devices
        due = [(actor, due_us) for actor, due_us in commit.timers.items() if due_us is not None]
        never = [actor for actor, due_us in commit.timers.items() if due_us is None]
        moved = await connection.fetchval(
            _COMMIT,
            *(commit.partition, commit.epoch, known.revision, commit.applied),
            *(encode_blob(after.received), encode_blob(after.sent)),
            *(list(commit.published), list(commit.published.values())),
            *_columns([(one.target, one.number, one.data) for one in commit.outbox], 3),
            *(list(states), [encode_blob(state) for state in states.values()]),
            *_columns([(one.device, *row_of(one)) for one in commit.commands], 1 + len(COLUMNS)),
            *_columns([(actor.kind, actor.id, due_us) for actor, due_us in due], 3),
            *_columns([(actor.kind, actor.id) for actor in never], 2),
            *_columns(
                [(one.time_us, one.by, one.action, one.target, json_text(one.detail)) for one in commit.audit], 5
            ),
        )
        if moved:
            self._numbers[commit.partition] = after
        return bool(moved)


def _after(known: _Numbers, commit: PartitionCommit) -> _Numbers:
    return _Numbers(commit.revision, known.received | commit.received, known.sent | commit.sent)


def _is_small(commit: PartitionCommit) -> bool:
    return not any(getattr(commit, name) for name in _OTHERS)


def _columns(rows: Sequence[tuple[object, ...]], count: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(count)]
