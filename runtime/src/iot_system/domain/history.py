"""History: single readings, queries and down-sampled buckets."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from iot_system.domain.readings import Value

AggregateName: TypeAlias = Literal["avg", "min", "max", "sum", "count", "last"]
PAGE_LIMIT = 10_000


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One measured value."""

    device: str
    metric: str
    time_us: int
    value: Value


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Readings of a device with ``from_us`` ≤ time < ``to_us``, ordered by time, then metric.

    ``after`` continues behind ``(time_us, metric)`` in the given order. With ``interval_us``, buckets aligned to 1970
    come back instead of readings; only numbers count in them, except for ``count`` and ``last``.
    """

    device: str
    metrics: tuple[str, ...] = ()
    from_us: int = 0
    to_us: int = 2**62
    descending: bool = False
    limit: int = 1000
    after: tuple[int, str] | None = None
    interval_us: int | None = None
    aggregates: tuple[AggregateName, ...] = ("avg",)


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A down-sampled interval that starts at ``time_us``; what was not asked for is None."""

    metric: str
    time_us: int
    avg: float | None = None
    min: float | None = None
    max: float | None = None
    sum: float | None = None
    count: int | None = None
    last: Value | None = None
