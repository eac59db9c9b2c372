"""What faults cost: one row for each that was struck, and percentiles of many."""

from __future__ import annotations

import math
import platform
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.harness.timeline import Change, Wait

LEAST_ROUNDS = 10
"""A 95th percentile of fewer is none."""
MEASURES = {
    "mqtt_s": "MQTT waits",
    "rest_s": "REST waits",
    "visible_s": "unseen for",
    "ready_s": "ready after",
}
"""Field of a row → what a table calls it. What each means stands in docs/reliability.md."""


class Moment(msgspec.Struct, frozen=True):
    """What was done or seen, so many seconds after the beginning."""

    after_s: float
    what: str


class Row(msgspec.Struct, frozen=True):
    """One fault in one round; seconds as in `MEASURES`. ``refused``: commits that owners of before tried to make."""

    fault: str
    round: int
    mqtt_s: float
    rest_s: float
    visible_s: float
    ready_s: float
    refused: int
    load: float
    """The machine's load average of the last minute, at the end."""
    began_s: float
    """Seconds since 1970."""
    moments: tuple[Moment, ...]
    waits: tuple[Wait, ...] = ()
    pods: tuple[Change, ...] = ()


class Kept(msgspec.Struct, frozen=True):
    """What was acknowledged in one round, and how history differs from that, as counts of readings.

    It is whole where every fault that was asked for was struck.
    """

    round: int
    is_whole: bool
    acknowledged: int
    lost: int
    doubled: int
    seconds: Mapping[int, Mapping[str, int]]
    """Second since 1970 → way in → how many readings were acknowledged in it."""


class Document(msgspec.Struct, frozen=True):
    """A run, as it stands in its file."""

    began: str = ""
    machine: str = ""
    limits: Mapping[str, Mapping[str, float]] = {}
    rows: list[Row] = []
    kept: list[Kept] = []


class Figures:
    """All rows of a run; with a ``file`` they are in it after each fault, whatever happens then.

    A run goes on from a file that is there: rounds that are whole in it count, one that was cut off does not.
    ``limits``: fault → measure → the most that its 95th percentile may be, in seconds.
    """

    def __init__(self, limits: Mapping[str, Mapping[str, float]], file: Path | None = None) -> None:
        self._limits = limits
        self._file = file
        document = read(file) if file is not None and file.exists() else Document()
        self._began = document.began or datetime.now(UTC).isoformat(timespec="seconds")
        self.kept = [one for one in document.kept if one.is_whole]
        self.rows = [row for row in document.rows if self.has(row.round)]

    def has(self, number: int) -> bool:
        """Whether a round was gone through to its end."""
        return any(one.round == number for one in self.kept)

    def add(self, one: Row | Kept) -> None:
        """Note it."""
        if isinstance(one, Row):
            self.rows.append(one)
        else:
            self.kept.append(one)
        if self._file is not None:
            self._file.write_bytes(msgspec.json.format(msgspec.json.encode(self._document()), indent=1) + b"\n")

    def beyond(self) -> list[str]:
        """Each 95th percentile beyond its limit, of those faults that came often enough."""
        return [
            f"{fault}: {MEASURES[measure]} {found:.1f} s, the limit is {limit:g} s"
            for fault, limits in self._limits.items()
            for measure, limit in limits.items()
            if len(of_fault := self._of(fault, measure)) >= LEAST_ROUNDS and (found := percentile(of_fault, 95)) > limit
        ]

    def lines(self) -> list[str]:
        """As a table of Markdown: median, 95th percentile and maximum in seconds, limits in brackets."""
        faults = dict.fromkeys(row.fault for row in self.rows)
        lines = [
            f"| fault | rounds | {' | '.join(MEASURES.values())} | refused |",
            f"| --- | ---: | {' | '.join('---:' for _ in MEASURES)} | ---: |",
            *(self._line(fault) for fault in faults),
        ]
        if self.kept:
            total = [sum(getattr(one, name) for one in self.kept) for name in ("acknowledged", "lost", "doubled")]
            lines.append("{:,} readings acknowledged: {:,} lost, {:,} doubled".format(*total))
        return lines

    def _line(self, fault: str) -> str:
        rows = [row for row in self.rows if row.fault == fault]
        cells = [self._cell(fault, measure) for measure in MEASURES]
        return f"| {fault} | {len(rows)} | {' | '.join(cells)} | {sum(row.refused for row in rows)} |"

    def _cell(self, fault: str, measure: str) -> str:
        seconds = self._of(fault, measure)
        text = f"{percentile(seconds, 50):.1f} / {percentile(seconds, 95):.1f} / {max(seconds):.1f}"
        limit = self._limits.get(fault, {}).get(measure)
        return text if limit is None else f"{text} (≤ {limit:g})"

    def _of(self, fault: str, measure: str) -> list[float]:
        return [getattr(row, measure) for row in self.rows if row.fault == fault]

    def _document(self) -> Document:
        machine = f"{platform.machine()}, {platform.system()} {platform.release()}"
        return Document(self._began, machine, self._limits, self.rows, self.kept)


def read(file: Path) -> Document:
    """What a run has written. Raises `msgspec.DecodeError` for a file that is none."""
    return msgspec.json.decode(file.read_bytes(), type=Document)


def percentile(values: Collection[float], percent: float) -> float:
    """The smallest value that ``percent`` of all are not above (nearest rank: no value that was not measured)."""
    ordered: Sequence[float] = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
