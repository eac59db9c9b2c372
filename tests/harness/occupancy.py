"""What the shipped occupancy sample must become, computed from the CSV by nothing but the standard library."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from statistics import fmean

from tests.harness.ledger import Entry

SAMPLE = Path(__file__).parents[2] / "runtime" / "src" / "iot_system" / "data" / "occupancy.csv"
ROOM = "office"
COLUMNS = {
    "Temperature": ("office-climate", "temperature"),
    "Humidity": ("office-climate", "humidity"),
    "HumidityRatio": ("office-climate", "humidity_ratio"),
    "Light": ("office-light", "light"),
    "CO2": ("office-air", "co2"),
    "Occupancy": ("office-presence", "occupancy"),
}
"""Column → device and metric, as the data's README has it."""
DEVICES = sorted({device for device, _ in COLUMNS.values()})
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Aggregate:
    """One metric of the room; ``min``, ``max`` and ``avg`` are None for the occupancy, which is no number."""

    last: float | bool
    count: int
    min: float | None
    max: float | None
    avg: float | None


def entries(path: Path = SAMPLE) -> Iterator[Entry]:
    """Every reading of the file, in its order."""
    with path.open(newline="") as file:
        rows = csv.reader(file)
        names = next(rows)
        for row in rows:
            # The header has no name for the first column, the row number.
            fields = dict(zip(names, row[1:], strict=True))
            moment = datetime.strptime(fields["date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            for column, (device, metric) in COLUMNS.items():
                value = fields[column] == "1" if column == "Occupancy" else float(fields[column])
                yield Entry(device, metric, int(moment.timestamp()) * 1000, value)


def room() -> dict[str, Aggregate]:
    """Metric → what the room must say of it."""
    values: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for entry in entries():
        values[entry.metric].append((entry.ts, entry.value))  # type: ignore[arg-type]  # no text in this file
    return {metric: _aggregate(metric, found) for metric, found in values.items()}


def hours() -> dict[int, dict[str, list[float]]]:
    """Start of an hour (milliseconds since 1970) → metric → its values within that hour."""
    found: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries():
        found[entry.ts // HOUR_MS * HOUR_MS][entry.metric].append(entry.value)  # type: ignore[arg-type]
    return found


def set_points() -> list[int]:
    """What a thermostat must want in turn: 21 °C while somebody is there, 16 once nobody was for 15 minutes."""
    wanted, empty_since = [21], None
    for entry in entries():
        if entry.metric != "occupancy":
            continue
        if entry.value:
            empty_since = None
        elif empty_since is None:
            empty_since = entry.ts
        wanted.append(16 if empty_since is not None and entry.ts - empty_since >= 15 * 60_000 else 21)
    return [set_point for set_point, _ in groupby(wanted)]


def check_heating(told: Sequence[tuple[float, bool]]) -> None:
    """Of set-points and ``heating`` in turn: it heats below the set-point, not above it, and within 0.25 K goes on.

    The devices speak at once, so at a step any temperature of the sample may have been the newest; at the end it is its
    last. All of them are far above the set-back of 16 °C: whatever comes first, then it must not heat. It need not heat
    at all: where all temperatures are heard before the first step, the last of them is the newest at each.
    """
    temperatures = [float(entry.value) for entry in entries() if entry.metric == "temperature"]
    for set_point, heating in told:
        assert any(_fits(set_point, one, heating) for one in temperatures), f"{heating=} at {set_point} °C"
    set_point, heating = told[-1]
    assert _fits(set_point, temperatures[-1], heating), f"{heating=} at {set_point} °C and {temperatures[-1]} °C"


def alarm_phases() -> list[tuple[str, int, float]]:
    """Phase, since when (milliseconds since 1970) and value of an alarm of bad air, in turn.

    Above 1,000 ppm it is pending, after 5 minutes active, and normal at 900 or as soon as it is down before.
    """
    phases: list[tuple[str, int, float]] = []
    for entry in entries():
        if entry.metric != "co2":
            continue
        phase, since, _ = phases[-1] if phases else ("normal", 0, 0.0)
        value, entered = float(entry.value), None
        if value > 1000:
            if phase == "normal":
                entered = "pending"
            elif phase == "pending" and entry.ts - since >= 300_000:
                entered = "active"
        elif phase == "pending" or (phase == "active" and value <= 900):
            entered = "normal"
        if entered:
            phases.append((entered, entry.ts, value))
    return phases


def _fits(set_point: float, temperature: float, heating: bool) -> bool:
    return temperature <= set_point + 0.25 if heating else temperature >= set_point - 0.25


def _aggregate(metric: str, found: list[tuple[int, float]]) -> Aggregate:
    numbers = [value for _, value in found]
    _, last = max(found, key=lambda one: one[0])
    if metric == "occupancy":
        return Aggregate(last, len(found), None, None, None)
    return Aggregate(last, len(found), min(numbers), max(numbers), fmean(numbers))
