"""What the system says about a replayed sample: twins and hourly averages, read through its REST interface."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, TypeVar

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from iot_system.client import IotClient
from iot_system.client.records import RoomTwin, Twin
from iot_system.commands.behaviours import ALARM, HEATER, Outcome, Phase, read_outcome
from iot_system.commands.occupancy import DEVICES, ROOM
from iot_system.commands.tables import counted
from iot_system.errors import NotFound, Unavailable

APPLY_TIMEOUT_S = 60.0
POLL_S = 0.05
WIDTH = 100
"""Of the tables, where the terminal has so many columns, and where there is none."""
ROWS_SHOWN = 4
"""At the beginning and at the end."""
DIGITS = {"humidity_ratio": 5}
T = TypeVar("T")


class Hour(msgspec.Struct, frozen=True):
    """Averages and counts of all metrics within one hour that starts at ``ts`` (milliseconds since 1970).

    What has no average, the occupancy, has a count alone.
    """

    ts: int
    avg: dict[str, float]
    count: dict[str, int]


class Figures(msgspec.Struct, frozen=True):
    """Twins, every hour that has readings, and what the behaviours did; ``readings`` counts the room's."""

    readings: int
    room: RoomTwin
    devices: dict[str, Twin]
    hours: list[Hour]
    behaviours: Outcome


async def wait_until_applied(iot: IotClient, expected: Mapping[str, int], check: Callable[[], None]) -> None:
    """Return when the room has so many readings of each metric: acknowledged means durable, and applied soon after.

    ``check`` is called now and then and may raise. Raises `Unavailable` at the deadline.
    """
    deadline_s = time.monotonic() + APPLY_TIMEOUT_S
    counts: dict[str, int] = {}
    while True:
        check()
        with contextlib.suppress(NotFound):
            counts = {metric: one.count for metric, one in (await iot.rooms.twin(ROOM)).metrics.items()}
        if all(counts.get(metric, 0) >= number for metric, number in expected.items()):
            return
        if time.monotonic() > deadline_s:
            raise Unavailable(f"{APPLY_TIMEOUT_S:g} s after the last acknowledgement the room has {counts} readings")
        await asyncio.sleep(POLL_S)


async def read_figures(iot: IotClient) -> Figures:
    """Raises as the client does."""
    room = await iot.rooms.twin(ROOM)
    devices = {id_: await iot.twins.get(id_) for id_ in (*DEVICES, HEATER)}
    hours: dict[int, Hour] = {}
    for id_ in DEVICES:
        async for bucket in iot.history.buckets(id_, interval="1h", aggregates=("avg", "count")):
            hour = hours.setdefault(int(bucket.ts), Hour(int(bucket.ts), {}, {}))
            hour.count[bucket.metric] = bucket.count or 0
            if bucket.avg is not None:
                hour.avg[bucket.metric] = bucket.avg
    return Figures(
        readings=sum(one.count for one in room.metrics.values()),
        room=room,
        devices=devices,
        hours=[hours[ts] for ts in sorted(hours)],
        behaviours=await read_outcome(iot),
    )


def show_figures(figures: Figures) -> None:
    """Print tables: the room, its devices, the first and last hours, and what the behaviours did."""
    console = Console(highlight=False)
    console = Console(highlight=False, width=min(console.width, WIDTH) if console.is_terminal else WIDTH)
    room = _table(f"Room {ROOM}: {figures.readings:,} readings", "metric", "last", "min", "max", "average", "count")
    for metric, one in sorted(figures.room.metrics.items()):
        numbers = (one.last.value, one.min, one.max, one.avg)
        room.add_row(metric, *(_text(metric, value) for value in numbers), f"{one.count:,}")
    console.print(room)

    devices = _table("Devices", "device", "newest reading (UTC)", "latest readings")
    for id_, twin in figures.devices.items():
        latest = ", ".join(f"{metric} {_text(metric, one.value)}" for metric, one in sorted(twin.latest.items()))
        newest = max((one.ts for one in twin.latest.values()), default=None)
        devices.add_row(id_, _time(newest), latest, style=None)
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
    _show_behaviours(console, figures.behaviours)


def _show_behaviours(console: Console, outcome: Outcome) -> None:
    # When it heats depends on which of two devices is heard first; the set-point only on who is there.
    set_points = [set_point for set_point, _ in groupby(one.set_point for one in outcome.set_points)]
    title = f"Thermostat: {counted(len(set_points), 'set-point')} for {HEATER}, one after the other"
    if set_points:
        title += f"; now {set_points[-1]:g} °C"
    console.print(f" [bold]{title}[/bold]\n")
    table = _table(f"CO2 alarms: above {ALARM['above']:g} ppm", "raised (UTC)", "cleared (UTC)")
    for alarm in _ends(_alarms(outcome.alarm)):
        raised, cleared = alarm or (None, None)
        table.add_row("…" if raised is None else _time(raised.since), _time(cleared.since) if cleared else "…")
    console.print(table)


def _alarms(phases: Sequence[Phase]) -> list[tuple[Phase, Phase | None]]:
    """When each was raised, and when it was cleared; the last may not be."""
    raised = [(index, phase) for index, phase in enumerate(phases) if phase.phase == "active"]
    return [
        (phase, next((later for later in phases[index:] if later.phase == "normal"), None)) for index, phase in raised
    ]


def _ends(rows: Sequence[T]) -> list[T | None]:
    if len(rows) <= 2 * ROWS_SHOWN:
        return list(rows)
    return [*rows[:ROWS_SHOWN], None, *rows[-ROWS_SHOWN:]]


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
