"""History out: readings, or down-sampled buckets, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TypeAlias

from iot_system.client.records import Bucket, Reading
from iot_system.client.rest import Rest, segment
from iot_system.domain.history import PAGE_LIMIT, AggregateName

Moment: TypeAlias = datetime | float
"""A time with its zone, or milliseconds since 1970."""


class History:
    """``IotClient.history``. Both iterators raise `NotFound` for a device that is not registered."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def readings(
        self,
        device: str,
        *,
        metrics: Sequence[str] = (),
        start: Moment | None = None,
        end: Moment | None = None,
        newest_first: bool = False,
    ) -> AsyncIterator[Reading]:
        """Readings from ``start`` on and before ``end``, by time, then metric; without ``metrics`` all of them."""
        parameters = {
            "metric": list(metrics),
            "from": _text(start),
            "to": _text(end),
            "order": "desc" if newest_first else "asc",
            "limit": PAGE_LIMIT,
        }
        return self._rest.items(_path(device), Reading, parameters)

    def buckets(
        self,
        device: str,
        *,
        interval: str,
        aggregates: Sequence[AggregateName] = ("avg",),
        metrics: Sequence[str] = (),
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> AsyncIterator[Bucket]:
        """Aggregates over intervals such as ``30s``, ``5m``, ``1h`` or ``1d``, aligned to 1970; without empty ones."""
        parameters = {
            "metric": list(metrics),
            "from": _text(start),
            "to": _text(end),
            "interval": interval,
            "aggregate": ",".join(aggregates),
            "limit": PAGE_LIMIT,
        }
        return self._rest.items(_path(device), Bucket, parameters)

    async def count(
        self, device: str, *, metrics: Sequence[str] = (), start: Moment | None = None, end: Moment | None = None
    ) -> int:
        """How many readings `readings` will give, counted by the database."""
        buckets = self.buckets(device, interval="366d", aggregates=("count",), metrics=metrics, start=start, end=end)
        return sum([bucket.count or 0 async for bucket in buckets])


def _path(device: str) -> str:
    return f"/v1/devices/{segment(device)}/telemetry"


def _text(moment: Moment | None) -> str | None:
    if moment is None:
        return None
    return moment.isoformat() if isinstance(moment, datetime) else str(moment)
