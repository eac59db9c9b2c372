"""The occupancy sample and other files of its form: CSV lines become messages of a room's devices."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from iot_system.domain.readings import Telemetry, parse_telemetry
from iot_system.errors import InvalidInput

ROOM = "office"
DEVICES: dict[str, dict[str, str]] = {
    "office-climate": {"Temperature": "temperature", "Humidity": "humidity", "HumidityRatio": "humidity_ratio"},
    "office-light": {"Light": "light"},
    "office-air": {"CO2": "co2"},
    "office-presence": {"Occupancy": "occupancy"},
}
"""Device → column → metric; see ``data/README.md`` for the units."""
HEADER = ("date", "Temperature", "Humidity", "Light", "CO2", "HumidityRatio", "Occupancy")
DATE = "%Y-%m-%d %H:%M:%S"
_SHOWN = 60


class Row(msgspec.Struct, frozen=True):
    """One line of a file (``line`` counts from 1): a message of every device, keyed by the device's id."""

    line: int
    messages: dict[str, Telemetry]


class BrokenLine(msgspec.Struct, frozen=True):
    """A line that cannot be used, and why."""

    line: int
    why: str


class Sample(msgspec.Struct, frozen=True):
    """What a file holds, in its order; no two rows bear the same time."""

    rows: list[Row]
    broken: list[BrokenLine]


def shipped_sample() -> Path:
    """The occupancy data set that is part of this package."""
    return Path(str(resources.files("iot_system") / "data" / "occupancy.csv"))


def read_sample(path: Path) -> Sample:
    """Read a file; a broken line harms no other.

    Raises `InvalidInput` where it cannot be read or is of another form.
    """
    try:
        with path.open("rb") as file:
            return _parse(path, file)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error


def _parse(path: Path, lines: Iterable[bytes]) -> Sample:
    numbered = enumerate(lines, 1)
    _check_header(path, next(numbered, (1, b""))[1])
    rows: list[Row] = []
    broken: list[BrokenLine] = []
    seen: dict[int, int] = {}
    now_us = time.time_ns() // 1000
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            messages = _messages(_fields(line), now_us)
            time_us = next(iter(messages.values())).time_us
            if first := seen.setdefault(time_us, number) - number:
                raise InvalidInput(f"date is that of line {number + first} already")
        except InvalidInput as error:
            broken.append(BrokenLine(number, str(error)))
        else:
            rows.append(Row(number, messages))
    return Sample(rows, broken)


def _check_header(path: Path, line: bytes) -> None:
    try:
        names = _fields(line.removeprefix(b"\xef\xbb\xbf"))
    except InvalidInput:
        names = []
    if tuple(names[-len(HEADER) :]) != HEADER or len(names) > len(HEADER) + 1:
        shown = line[:_SHOWN].decode(errors="replace").strip()
        raise InvalidInput(f"{path}: the first line is {shown!r}; it must name the columns {','.join(HEADER)}")


def _fields(line: bytes) -> list[str]:
    """Each line is read alone, so that a quotation mark too many spoils no more than its own line."""
    try:
        return next(csv.reader([line.decode()], strict=True), [])
    except UnicodeDecodeError:
        raise InvalidInput("it is not valid UTF-8") from None
    except csv.Error as error:
        raise InvalidInput(f"it is not CSV: {error}") from None


def _messages(fields: list[str], now_us: int) -> dict[str, Telemetry]:
    if len(fields) not in (len(HEADER), len(HEADER) + 1):
        raise InvalidInput(
            f"it has {len(fields)} fields; {len(HEADER)} are needed, and a row number may go before them"
        )
    row = dict(zip(HEADER, fields[-len(HEADER) :], strict=True))
    ts = _milliseconds(row["date"])
    return {device: parse_telemetry(device, body, now_us=now_us) for device, body in _bodies(row, ts)}


def _bodies(row: dict[str, str], ts: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for device, columns in DEVICES.items():
        yield device, {"ts": ts, "values": {metric: _value(column, row[column]) for column, metric in columns.items()}}


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.strptime(text, DATE).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInput(f"date is {text[:_SHOWN]!r}; it must be like 2015-02-04 17:51:00") from None
    return int(moment.timestamp()) * 1000


def _value(column: str, text: str) -> float | bool:
    if column == "Occupancy":
        if text not in ("0", "1"):
            raise InvalidInput(f"Occupancy is {text[:_SHOWN]!r}; it must be 0 or 1")
        return text == "1"
    try:
        if "_" in text:  # a number to Python only
            raise ValueError
        return float(text)
    except ValueError:
        raise InvalidInput(f"{column} is {text[:_SHOWN]!r}; it must be a number") from None
