"""History: single readings, queries and down-sampled buckets."""

from __future__ import annotations

from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

from iot_system.domain.readings import Value
from iot_system.errors import InvalidInput

AggregateName: TypeAlias = Literal["avg", "min", "max", "sum", "count", "last"]
PAGE_LIMIT = 10_000
STRETCH_BYTES = 3 * 1024 * 1024
"""An answer stays near this: the broker takes 8 MiB, and numbers inside JSON grow to twice their text on the way."""
ITEM_BYTES = 192
"""What an item has beside its metric's name and its value, at most: the device's id, numbers."""
T = TypeVar("T")


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


class Stretch(msgspec.Struct, Generic[T], frozen=True):
    """The items of one answer: up to the query's limit and about `STRETCH_BYTES`, but one at least where there is one.

    ``more`` says that others may follow behind the last.
    """

    items: list[T]
    more: bool


def sum_is_too_large(query: HistoryQuery) -> InvalidInput:
    """What every store says of a sum beyond all numbers."""
    return InvalidInput(
        f"a sum over {query.device!r} is larger than any number (1.8e308); ask for min, max, count or last"
    )
