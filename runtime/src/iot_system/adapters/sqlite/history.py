"""History out: readings, down-sampled buckets, and what is known already; and its end."""

from __future__ import annotations

import math
from collections.abc import Iterable
from sqlite3 import Connection
from typing import Any, TypeVar

import msgspec

from iot_system.adapters.sqlite.values import NUMBER, value_of
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

DAY_US = 86_400_000_000
T = TypeVar("T")
_OF_QUERY = """
h.device = (select key from devices where id = :device) and h.time_us >= :from_us and h.time_us < :to_us
and (:metrics is null or h.metric in (select key from metrics where name in (select value from json_each(:metrics))))
"""
_NUMBER = f"case h.kind when {NUMBER} then cast(h.value as real) end"
_AGGREGATES: dict[AggregateName, str] = {
    "avg": f"sum({_NUMBER}) / count({_NUMBER})",
    "min": f"min({_NUMBER})",
    "max": f"max({_NUMBER})",
    "sum": f"sum({_NUMBER})",
    "count": "count(*)",
}


def known(connection: Connection, readings: Iterable[Reading]) -> set[tuple[str, str, int]]:
    """See `iot_system.ports.store.Store.known`."""
    find = (
        "select 1 from history where device = (select key from devices where id = ?) and time_us = ? "
        "and metric = (select key from metrics where name = ?)"
    )
    return {
        (one.device, one.metric, one.time_us)
        for one in readings
        if connection.execute(find, (one.device, one.time_us, one.metric)).fetchone()
    }


def read(connection: Connection, query: HistoryQuery) -> Stretch[Reading]:
    """See `iot_system.ports.store.Store.readings`."""
    arguments, behind = _arguments(query, width_us=1), ""
    if query.after:
        behind = f"and (h.time_us, m.name) {_sign(query)} (:after_us, :after_metric)"
    rows = connection.execute(
        "select m.name, h.time_us, h.kind, h.value from history h join metrics m on m.key = h.metric "  # noqa: S608
        f"where {_OF_QUERY} {behind} order by h.time_us {_order(query)}, m.name {_order(query)} limit :limit",
        arguments,
    )
    return _stretch(
        query,
        (
            (Reading(query.device, metric, time_us, value_of(kind, value)), _bytes(metric, value))
            for metric, time_us, kind, value in rows
        ),
    )


def buckets(connection: Connection, query: HistoryQuery) -> Stretch[Bucket]:
    """See `iot_system.ports.store.Store.buckets`. Raises `InvalidInput` where a sum is beyond all numbers."""
    if query.interval_us is None:
        raise InvalidInput("buckets need an interval")
    names = [name for name in _AGGREGATES if name in query.aggregates]
    columns = "".join(f', {_AGGREGATES[name]} as "{name}"' for name in names)
    start, behind = "h.time_us / :interval_us * :interval_us", ""
    if query.after:
        behind = f"and ({start}, m.name) {_sign(query)} (:after_us, :after_metric)"
    order = f"order by start {_order(query)}, name {_order(query)}"
    inner = (
        f"select m.name as name, {start} as start, h.metric as metric, max(h.time_us) as last_us{columns} "  # noqa: S608
        f"from history h join metrics m on m.key = h.metric where {_OF_QUERY} {behind} "
        f"group by h.metric, m.name, {start} {order} limit :limit"
    )
    chosen = "".join(f', b."{name}"' for name in names)
    rows = connection.execute(
        f"select b.name, b.start, h.kind, h.value{chosen} from ({inner}) b join history h "  # noqa: S608
        "on h.device = (select key from devices where id = :device) and h.time_us = b.last_us and h.metric = b.metric "
        f"{order}",
        _arguments(query, width_us=query.interval_us),
    )
    bears_last = "last" in query.aggregates
    return _stretch(
        query, ((_bucket(query, names, *row), _bytes(row[0], row[3] if bears_last else None)) for row in rows)
    )


def drop(connection: Connection, *, before_us: int) -> None:
    """Forget what is older."""
    connection.execute("delete from history where device in (select key from devices) and time_us < ?", (before_us,))


def _stretch(query: HistoryQuery, sized: Iterable[tuple[T, int]]) -> Stretch[T]:
    """The first of items with their bytes; the rest is not even read."""
    items: list[T] = []
    left = STRETCH_BYTES
    for item, size in sized:
        left -= size
        if items and left < 0:
            return Stretch(items, more=True)
        items.append(item)
    return Stretch(items, more=len(items) == query.limit)


def _bytes(metric: str, stored: float | str | None) -> int:
    return ITEM_BYTES + len(metric.encode()) + (len(stored.encode()) if isinstance(stored, str) else 0)


def _bucket(
    query: HistoryQuery, names: list[AggregateName], metric: str, start_us: int, kind: int, last: Any, *values: Any
) -> Bucket:
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise sum_is_too_large(query)
    bucket: dict[str, Any] = dict(zip(names, values, strict=True))
    if "last" in query.aggregates:
        bucket["last"] = value_of(kind, last)
    return Bucket(metric=metric, time_us=start_us, **bucket)


def _arguments(query: HistoryQuery, *, width_us: int) -> dict[str, Any]:
    """Named arguments; the range begins (or ends) with the whole interval of ``width_us`` that ``after`` stands in."""
    from_us, to_us = query.from_us, query.to_us
    after_us, after_metric = query.after or (None, None)
    if after_us is not None:
        if query.descending:
            to_us = min(to_us, after_us + width_us)
        else:
            from_us = max(from_us, after_us)
    return {
        "device": query.device,
        "metrics": msgspec.json.encode(query.metrics).decode() if query.metrics else None,
        "from_us": from_us,
        "to_us": to_us,
        "interval_us": query.interval_us,
        "after_us": after_us,
        "after_metric": after_metric,
        "limit": query.limit,
    }


def _order(query: HistoryQuery) -> str:
    return "desc" if query.descending else "asc"


def _sign(query: HistoryQuery) -> str:
    return "<" if query.descending else ">"
