"""What the system says about a replayed sample: twins and hourly averages, read through its REST interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from iot_system.commands.occupancy import DEVICES, ROOM
from iot_system.commands.rest import Rest
from iot_system.errors import Unavailable

APPLY_TIMEOUT_S = 60.0
POLL_S = 0.05
HOURS_SHOWN = 4
"""At the beginning and at the end."""
BUCKETS_LIMIT = 10_000
DIGITS = {"humidity_ratio": 5}


class Hour(msgspec.Struct, frozen=True):
    """Averages and counts of all metrics within one hour that starts at ``ts`` (milliseconds since 1970).

    What has no average, the occupancy, has a count alone.
    """

    ts: int
    avg: dict[str, float]
    count: dict[str, int]


class Figures(msgspec.Struct, frozen=True):
    """Twins as REST gives them, and every hour that has readings; ``readings`` counts the room's."""

    readings: int
    room: dict[str, Any]
    devices: dict[str, dict[str, Any]]
    hours: list[Hour]


async def wait_until_applied(rest: Rest, expected: Mapping[str, int], check: Callable[[], None]) -> None:
    """Return when the room has so many readings of each metric: acknowledged means durable, and applied soon after.

    ``check`` is called now and then and may raise. Raises `Unavailable` at the deadline.
    """
    deadline_s = time.monotonic() + APPLY_TIMEOUT_S
    while True:
        check()
        response = await rest.request("GET", f"/v1/rooms/{ROOM}/twin")
        metrics = msgspec.json.decode(response.content)["metrics"] if response.is_success else {}
        counts = {metric: one["count"] for metric, one in metrics.items()}
        if all(counts.get(metric, 0) >= number for metric, number in expected.items()):
            return
        if time.monotonic() > deadline_s:
            raise Unavailable(f"{APPLY_TIMEOUT_S:g} s after the last acknowledgement the room has {counts} readings")
        await asyncio.sleep(POLL_S)


async def read_figures(rest: Rest) -> Figures:
    """Raises as `Rest.get`."""
    room = await rest.get(f"/v1/rooms/{ROOM}/twin")
    devices = {id_: await rest.get(f"/v1/devices/{id_}/twin") for id_ in DEVICES}
    hours: dict[int, Hour] = {}
    for id_ in DEVICES:
        for bucket in await _buckets(rest, id_):
            hour = hours.setdefault(int(bucket["ts"]), Hour(int(bucket["ts"]), {}, {}))
            hour.count[bucket["metric"]] = bucket["count"]
            if bucket["avg"] is not None:
                hour.avg[bucket["metric"]] = bucket["avg"]
    return Figures(
        readings=sum(one["count"] for one in room["metrics"].values()),
        room=room,
        devices=devices,
        hours=[hours[ts] for ts in sorted(hours)],
    )


async def _buckets(rest: Rest, device: str) -> list[dict[str, Any]]:
    parameters: dict[str, str | int | float] = {"interval": "1h", "aggregate": "avg,count", "limit": BUCKETS_LIMIT}
    items: list[dict[str, Any]] = []
    while True:
        page = await rest.get(f"/v1/devices/{device}/telemetry", parameters)
        items += page["items"]
        if page["cursor"] is None:
            return items
        parameters["cursor"] = page["cursor"]


def show_figures(figures: Figures) -> None:
    """Print three tables: the room, its devices, and the first and last hours."""
    console = Console(width=100, highlight=False)
    room = _table(f"Room {ROOM}: {figures.readings:,} readings", "metric", "last", "min", "max", "average", "count")
    for metric, one in sorted(figures.room["metrics"].items()):
        numbers = (one["last"]["value"], one["min"], one["max"], one["avg"])
        room.add_row(metric, *(_text(metric, value) for value in numbers), f"{one['count']:,}")
    console.print(room)

    devices = _table("Devices", "device", "last seen (UTC)", "latest readings")
    for id_, twin in figures.devices.items():
        latest = ", ".join(f"{metric} {_text(metric, one['value'])}" for metric, one in sorted(twin["latest"].items()))
        devices.add_row(id_, _time(twin["last_seen"]), latest, style=None)
    console.print(devices)

    metrics = sorted({metric for hour in figures.hours for metric in hour.avg})
    table = _table(f"Hourly averages: {len(figures.hours)} hours", "hour (UTC)", *metrics, "readings")
    for hour in _ends(figures.hours):
        if hour is None:
            table.add_row("…", *("…" for _ in metrics), "…")
        else:
            averages = (_text(metric, hour.avg.get(metric)) for metric in metrics)
            table.add_row(_time(hour.ts), *averages, f"{sum(hour.count.values()):,}")
    console.print(table)


def _ends(hours: Sequence[Hour]) -> list[Hour | None]:
    if len(hours) <= 2 * HOURS_SHOWN:
        return list(hours)
    return [*hours[:HOURS_SHOWN], None, *hours[-HOURS_SHOWN:]]


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="left" if name.startswith("latest") else "right")
    return table


def _text(metric: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.{DIGITS.get(metric, 2)}f}"


def _time(ts: float | None) -> str:
    return "-" if ts is None else datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
