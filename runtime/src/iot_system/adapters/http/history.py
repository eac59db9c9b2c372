"""History out: pages of readings, or of down-sampled buckets."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, get_args

import msgspec
from litestar import get
from litestar.params import QueryParameter
from msgspec import UNSET, Meta, UnsetType

from iot_system.adapters.http import problems
from iot_system.adapters.http.auth import DevicePath, itself_or
from iot_system.adapters.http.requests import ApiRequest
from iot_system.domain.access import Action
from iot_system.domain.history import PAGE_LIMIT, AggregateName, Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.readings import METRIC_NAME_LIMIT, METRICS_LIMIT, milliseconds
from iot_system.errors import InvalidInput

AGGREGATES: tuple[AggregateName, ...] = get_args(AggregateName)
LATEST_US = 2**62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_INTERVAL = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_INTERVAL_LIMIT_US = 366 * _UNITS_US["d"]
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", re.ASCII)
_SHOWN = 80
_ORDERS = ("asc", "desc")


class HistoryItem(msgspec.Struct, kw_only=True):
    """A measured value (``value``) or, with ``interval``, a bucket that starts at ``ts`` (the aggregates asked for).

    ``ts`` is in milliseconds since 1970; an aggregate is null where a bucket holds no numbers.
    """

    metric: Annotated[str, Meta(examples=["temperature"])]
    ts: Annotated[float, Meta(examples=[1_700_000_000_000])]
    value: Any | UnsetType = UNSET
    avg: float | UnsetType | None = UNSET
    min: float | UnsetType | None = UNSET
    max: float | UnsetType | None = UNSET
    sum: float | UnsetType | None = UNSET
    count: int | UnsetType = UNSET
    last: Any | UnsetType = UNSET


class HistoryPage(msgspec.Struct):
    """Items by time, then metric; ``cursor`` continues, null at the end."""

    items: list[HistoryItem]
    cursor: str | None


class _Position(msgspec.Struct, array_like=True):
    """What a cursor holds: the last item's place, and the query's direction and interval, which it is good for."""

    time_us: Annotated[int, Meta(ge=0, le=LATEST_US)]
    metric: Annotated[str, Meta(max_length=METRIC_NAME_LIMIT)]
    descending: bool
    interval_us: int | None


@get(
    "/devices/{device:str}/telemetry",
    operation_id="getHistory",
    summary="Get history",
    tags=["telemetry"],
    guards=[itself_or(Action.READ)],
    responses=problems.documented(400, 401, 403, 404, 429, 503),
)
async def get_history(
    request: ApiRequest,
    device: DevicePath,
    metric: Annotated[list[str] | None, QueryParameter(description="Only these metrics; may be repeated.")] = None,
    from_: Annotated[
        str | None,
        QueryParameter(name="from", description="From this moment on: milliseconds since 1970, or RFC 3339."),
    ] = None,
    to: Annotated[str | None, QueryParameter(description="Before this moment; as `from`.")] = None,
    order: Annotated[str, QueryParameter(description="By time.", schema_extra={"enum": list(_ORDERS)})] = "asc",
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT, description="The most items in one answer.")] = 1000,
    cursor: Annotated[str | None, QueryParameter(description="Continues: the last answer's cursor.")] = None,
    interval: Annotated[
        str | None, QueryParameter(description="Down-sample to intervals such as 30s, 5m, 1h or 1d, aligned to 1970.")
    ] = None,
    aggregate: Annotated[
        str | None, QueryParameter(description="With `interval`: some of avg,min,max,sum,count,last; avg by default.")
    ] = None,
) -> HistoryPage:
    """A device's readings, or with `interval` their aggregates."""
    query = HistoryQuery(
        device=request.device_id(device),
        metrics=_metrics(metric or ()),
        from_us=0 if from_ is None else _moment(from_, "from"),
        to_us=LATEST_US if to is None else _moment(to, "to"),
        descending=_descending(order),
        limit=limit,
        interval_us=None if interval is None else _interval(interval),
        aggregates=_aggregates(aggregate, interval),
    )
    if query.from_us > query.to_us:
        raise InvalidInput(f"from is {from_}, which is after to ({to})")
    if cursor is not None:
        query = msgspec.structs.replace(query, after=_after(cursor, query))
    if query.interval_us is None:
        readings = await request.gateway.readings(query)
        items = [
            HistoryItem(metric=one.metric, ts=milliseconds(one.time_us), value=one.value) for one in readings.items
        ]
        return HistoryPage(items, _cursor(readings, query))
    buckets = await request.gateway.buckets(query)
    return HistoryPage([_bucket(one, query.aggregates) for one in buckets.items], _cursor(buckets, query))


def _metrics(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > METRICS_LIMIT:
        raise InvalidInput(f"metric is given {len(names)} times; the limit is {METRICS_LIMIT}")
    for name in names:
        if not 0 < len(name) <= METRIC_NAME_LIMIT or not name.isprintable():
            raise InvalidInput(f"metric is {name[:_SHOWN]!r}; a name has 1 to {METRIC_NAME_LIMIT} printable characters")
    return tuple(dict.fromkeys(names))


def _descending(order: str) -> bool:
    if order not in _ORDERS:
        raise InvalidInput(f"order is {order[:_SHOWN]!r}; it is {' or '.join(_ORDERS)}")
    return order == "desc"


def _moment(text: str, parameter: str) -> int:
    """Microseconds since 1970 of milliseconds, or of RFC 3339 with its offset."""
    if _NUMBER.fullmatch(text):
        time_us = round(float(text) * 1000) if "." in text else int(text) * 1000
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise InvalidInput(
                f"{parameter} is {text[:_SHOWN]!r}; it is milliseconds since 1970, or a time such as "
                "2026-01-31T12:00:00Z ('+' in an address is written %2B)"
            )
        time_us = (moment - _EPOCH) // timedelta(microseconds=1)
    if not 0 <= time_us <= LATEST_US:
        raise InvalidInput(f"{parameter} is {text[:_SHOWN]!r}; it lies from 0 (1970) to {LATEST_US // 1000} ms")
    return time_us


def _interval(text: str) -> int:
    found = _INTERVAL.fullmatch(text)
    interval_us = int(found[1]) * _UNITS_US[found[2]] if found else 0
    if not _UNITS_US["s"] <= interval_us <= _INTERVAL_LIMIT_US:
        raise InvalidInput(f"interval is {text[:_SHOWN]!r}; it lies from 1s to 366d, as in 30s, 5m, 1h or 1d")
    return interval_us


def _aggregates(text: str | None, interval: str | None) -> tuple[AggregateName, ...]:
    if text is None:
        return ("avg",)
    if interval is None:
        raise InvalidInput("aggregate needs interval, as in interval=5m")
    names = text.split(",")
    chosen = tuple(name for name in AGGREGATES if name in names)
    if len(chosen) != len(names):
        raise InvalidInput(f"aggregate is {text[:_SHOWN]!r}; it is some of {', '.join(AGGREGATES)}, each once")
    return chosen


def _cursor(stretch: Stretch[Reading] | Stretch[Bucket], query: HistoryQuery) -> str | None:
    if not stretch.more:
        return None
    last = stretch.items[-1]
    position = _Position(last.time_us, last.metric, query.descending, query.interval_us)
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _after(cursor: str, query: HistoryQuery) -> tuple[int, str]:
    try:
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position = msgspec.json.decode(data, type=_Position)
    except ValueError as error:
        raise InvalidInput(f"cursor is {cursor[:_SHOWN]!r}, which no answer gave") from error
    if (position.descending, position.interval_us) != (query.descending, query.interval_us):
        raise InvalidInput("cursor belongs to another query; order and interval must stay as they were")
    return position.time_us, position.metric


def _bucket(bucket: Bucket, aggregates: tuple[AggregateName, ...]) -> HistoryItem:
    chosen = {name: getattr(bucket, name) for name in aggregates}
    return HistoryItem(metric=bucket.metric, ts=milliseconds(bucket.time_us), **chosen)
