"""History out: readings, down-sampled buckets, and what is known already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from iot_system.adapters.postgres.database import Connection
from iot_system.adapters.postgres.values import NUMBER, VALUE, value_of
from iot_system.domain.history import (
    ITEM_BYTES,
    STRETCH_BYTES,
    AggregateName,
    Bucket,
    HistoryQuery,
    Reading,
    Stretch,
    sum_is_too_large,
)
from iot_system.errors import InvalidInput

# `limit` keeps the planner at one search in the primary key per reading, whatever it thinks of their number.
_KNOWN = """
select d.id, m.name, r.time_us
from unnest($1::text[], $2::text[], $3::bigint[]) r (device, metric, time_us)
join devices d on d.id = r.device
join metrics m on m.name = r.metric
cross join lateral (
    select from history h
    where h.device = d.key and (h.metric = m.key or m.key = any(h.metrics))
    and h.time_us = r.time_us and h.time_us between $4 and $5
    limit 1
) h
"""
_OF_QUERY = """
h.device = (select key from devices where id = $1) and h.time_us >= $2 and h.time_us < $3
and ($4::text[] is null or m.name = any($4))
"""
_AGGREGATES: dict[AggregateName, str] = {
    "avg": f"sum({NUMBER}) / count({NUMBER})",  # and not `avg`, which gives up where a variance would overflow
    "min": f"min({NUMBER})",
    "max": f"max({NUMBER})",
    "sum": f"sum({NUMBER})",
    "count": "count(*)",
}


async def known(connection: Connection, readings: Sequence[Reading]) -> set[tuple[str, str, int]]:
    """See `iot_system.ports.store.Store.known`."""
    times = [reading.time_us for reading in readings]
    if not times:
        return set()
    devices, metrics = [reading.device for reading in readings], [reading.metric for reading in readings]
    rows = await connection.fetch(_KNOWN, devices, metrics, times, min(times), max(times))
    return {(device, metric, time_us) for device, metric, time_us in rows}


async def read(connection: Connection, query: HistoryQuery) -> Stretch[Reading]:
    """See `iot_system.ports.store.Store.readings`."""
    from_us, to_us = query.from_us, query.to_us
    behind, after = "", _after(query)
    if after:
        if query.descending:
            to_us = min(to_us, after[0] + 1)
        else:
            from_us = max(from_us, after[0])
        behind = f"and (h.time_us, m.name) {_sign(query)} ($6, $7)"
    statement = (
        f"select m.name, h.time_us as start, {VALUE} from readings h join metrics m on m.key = h.metric "  # noqa: S608
        f"where {_OF_QUERY} {behind} order by h.time_us {_order(query)}, m.name {_order(query)} limit $5"
    )
    arguments = (query.device, from_us, to_us, list(query.metrics) or None, query.limit, *after)
    rows, more = await _stretch(connection, query, statement, arguments, bears_values=True)
    return Stretch([Reading(query.device, name, time_us, value_of(*value)) for name, time_us, *value in rows], more)


async def buckets(connection: Connection, query: HistoryQuery) -> Stretch[Bucket]:
    """See `iot_system.ports.store.Store.buckets`. Raises `InvalidInput` where a sum is beyond all numbers."""
    if query.interval_us is None:
        raise InvalidInput("buckets need an interval")
    from_us, to_us, after = query.from_us, query.to_us, _after(query)
    if after:
        # Whole buckets, or else the last one would come again with the rest of it.
        if query.descending:
            to_us = min(to_us, after[0] + query.interval_us)
        else:
            from_us = max(from_us, after[0])
    numbers = [name for name in _AGGREGATES if name in query.aggregates]
    statement = _buckets(query, numbers)
    arguments = (query.device, from_us, to_us, list(query.metrics) or None, query.limit, query.interval_us, *after)
    try:
        rows, more = await _stretch(connection, query, statement, arguments, bears_values="last" in query.aggregates)
    except asyncpg.NumericValueOutOfRangeError as error:
        raise sum_is_too_large(query) from error
    return Stretch([_bucket(query, numbers, *row) for row in rows], more)


async def _stretch(
    connection: Connection, query: HistoryQuery, statement: str, arguments: Sequence[Any], *, bears_values: bool
) -> tuple[list[tuple[Any, ...]], bool]:
    """The first rows of ``statement`` by their bytes, and whether there are more; these never leave the database."""
    size = f"{ITEM_BYTES} + octet_length(s.name)"
    if bears_values:
        size += " + coalesce(octet_length(s.text), octet_length(s.json::text), 0)"
    rows = await connection.fetch(
        "select * from (select s.*, count(*) over () as found, row_number() over w as place, "  # noqa: S608
        f"sum({size}) over w as bytes from ({statement}) s "
        f"window w as (order by s.start {_order(query)}, s.name {_order(query)} rows unbounded preceding)) c "
        f"where place = 1 or bytes <= {STRETCH_BYTES} order by place",
        *arguments,
    )
    found = rows[0]["found"] if rows else 0
    return [row[:-3] for row in rows], found == query.limit or found > len(rows)


def _buckets(query: HistoryQuery, numbers: Sequence[AggregateName]) -> str:
    behind = f"and (h.time_us / $6 * $6, m.name) {_sign(query)} ($7, $8)" if query.after else ""
    columns = "".join(f', {_AGGREGATES[name]} as "{name}"' for name in numbers)
    order = f"order by start {_order(query)}, name {_order(query)}"
    inner = (
        f"select m.name as name, h.time_us / $6::bigint * $6 as start, m.key as metric, max(h.time_us) as last_us"  # noqa: S608
        f"{columns} from readings h join metrics m on m.key = h.metric where {_OF_QUERY} {behind} "
        f"group by m.key, m.name, start {order} limit $5"
    )
    chosen = "".join(f', b."{name}"' for name in numbers)
    if "last" not in query.aggregates:
        return f"select b.name, b.start{chosen} from ({inner}) b {order}"  # noqa: S608
    return (
        f"select b.name, b.start{chosen}, {VALUE} from ({inner}) b cross join lateral ("  # noqa: S608
        "select * from readings h where h.device = (select key from devices where id = $1) "
        f"and h.metric = b.metric and h.time_us = b.last_us limit 1) h {order}"
    )


def _bucket(query: HistoryQuery, numbers: Sequence[AggregateName], metric: str, start_us: int, *values: Any) -> Bucket:
    bucket: dict[str, Any] = dict(zip(numbers, values, strict=False))
    if "last" in query.aggregates:
        bucket["last"] = value_of(*values[len(numbers) :])
    return Bucket(metric=metric, time_us=start_us, **bucket)


def _after(query: HistoryQuery) -> tuple[int, str] | tuple[()]:
    return query.after or ()


def _order(query: HistoryQuery) -> str:
    return "desc" if query.descending else "asc"


def _sign(query: HistoryQuery) -> str:
    return "<" if query.descending else ">"
