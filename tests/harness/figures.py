"""What faults cost: one row for each that was struck, and percentiles of many."""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from chart_harness.errors import SettingError

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
    """What came of one round, or of a part of it: a run that goes on in the middle of a round ends it with another one.

    ``faults``: those that were struck. ``findings``: kind of `tests.harness.findings` → how often.
    """

    round: int
    faults: tuple[str, ...]
    acknowledged: int
    findings: Mapping[str, int]
    seconds: Mapping[int, Mapping[str, int]]
    """Second since 1970 → way in → how many readings were acknowledged in it."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was wrong."""
        return not any(self.findings.values())

    def has(self, row: Row) -> bool:
        """Whether the row is of it."""
        return row.round == self.round and row.fault in self.faults


class Document(msgspec.Struct, frozen=True):
    """A run, as it stands in its file."""

    began: str = ""
    machine: str = ""
    limits: Mapping[str, Mapping[str, float]] = {}
    rows: list[Row] = []
    kept: list[Kept] = []


class Cell(NamedTuple):
    """Seconds of one measure of one fault."""

    median: float
    percentile_95: float
    maximum: float
    limit: float | None

    @property
    def is_beyond(self) -> bool:
        """Whether the 95th percentile is above its limit."""
        return self.limit is not None and self.percentile_95 > self.limit

    def __str__(self) -> str:
        text = f"{self.median:.1f} / {self.percentile_95:.1f} / {self.maximum:.1f}"
        return text if self.limit is None else f"{text} (≤ {self.limit:g})"


class Line(NamedTuple):
    """What a fault has cost in all its rounds; ``cells`` by measure."""

    fault: str
    rounds: int
    cells: Mapping[str, Cell]
    refused: int


class Figures:
    """All rows of a run; with a ``file`` they are in it after each fault, whatever happens then.

    A run goes on from a file that is there: faults of rounds that came to their end count, others do not, and what was
    wrong in one stays. ``limits``: fault → measure → the most that its 95th percentile may be, in seconds.

    Raises SettingError where the file is of something else, or has no folder to lie in.
    """

    def __init__(self, limits: Mapping[str, Mapping[str, float]], file: Path | None = None) -> None:
        self._limits = limits
        self._file = file
        if file is not None and not file.parent.is_dir():
            raise SettingError(f"{file} has no folder to lie in: there is no {file.parent}")
        document = read(file) if file is not None and file.exists() else Document()
        self._began = document.began or datetime.now(UTC).isoformat(timespec="seconds")
        self.kept = list(document.kept)
        self.rows = [row for row in document.rows if self._is_kept(row)]

    @property
    def document(self) -> Document:
        """All of it, as it stands in the file."""
        machine = f"{platform.machine()}, {platform.system()} {platform.release()}"
        return Document(self._began, machine, self._limits, self.rows, self.kept)

    def has(self, number: int, fault: str) -> bool:
        """Whether a fault was struck in a round that came to its end."""
        return any(one.round == number and fault in one.faults for one in self.kept)

    def struck(self, number: int) -> tuple[str, ...]:
        """Faults of a round that has not come to its end."""
        return tuple(row.fault for row in self.rows if row.round == number and not self._is_kept(row))

    def add(self, one: Row | Kept) -> None:
        """Note it."""
        if isinstance(one, Row):
            self.rows.append(one)
        else:
            self.kept.append(one)
        if self._file is not None:
            # Beside it first: a run that is killed while it writes leaves the file as it was.
            beside = self._file.with_name(f"{self._file.name}.part")
            beside.write_bytes(msgspec.json.format(msgspec.json.encode(self.document), indent=1) + b"\n")
            beside.replace(self._file)

    def beyond(self) -> list[str]:
        """Each 95th percentile beyond its limit, of those faults that came often enough."""
        return [
            f"{line.fault}: {MEASURES[measure]} {cell.percentile_95:.1f} s, the limit is {cell.limit:g} s"
            for line in table(self.document)
            if line.rounds >= LEAST_ROUNDS
            for measure, cell in line.cells.items()
            if cell.is_beyond
        ]

    def missing(self, faults: Iterable[str]) -> list[str]:
        """Those of the faults that came too seldom to be held against a limit, or to say that nothing was lost."""
        rounds = Counter(row.fault for row in self.rows)
        return [
            f"{fault}: {rounds[fault]} rounds of at least {LEAST_ROUNDS}"
            for fault in faults
            if rounds[fault] < LEAST_ROUNDS
        ]

    def wrong(self) -> list[str]:
        """What was found in which round."""
        return [
            f"round {one.round}, {', '.join(one.faults)}: {counted(one.findings)}"
            for one in self.kept
            if not one.is_clean
        ]

    def lines(self) -> list[str]:
        """As a table of Markdown: median, 95th percentile and maximum in seconds, limits in brackets."""
        lines = [
            f"| fault | rounds | {' | '.join(MEASURES.values())} | refused |",
            f"| --- | ---: | {' | '.join('---:' for _ in MEASURES)} | ---: |",
            *(
                f"| {line.fault} | {line.rounds} | {' | '.join(map(str, line.cells.values()))} | {line.refused} |"
                for line in table(self.document)
            ),
        ]
        if self.kept:
            acknowledged = sum(one.acknowledged for one in self.kept)
            lines.append(f"{acknowledged:,} readings acknowledged: {counted(findings(self.kept))}")
        return lines

    def _is_kept(self, row: Row) -> bool:
        return self.has(row.round, row.fault)


def read(file: Path) -> Document:
    """What a run has written. Raises SettingError for a file that is none."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Document)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingError(f"{file} is no file of figures: {error}") from error


def percentile(values: Collection[float], percent: float) -> float:
    """The smallest value that ``percent`` of all are not above (nearest rank: no value that was not measured)."""
    ordered: Sequence[float] = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def table(document: Document) -> Iterator[Line]:
    """One line for each fault that was struck, in the order of the first round."""
    for fault in dict.fromkeys(row.fault for row in document.rows):
        rows = [row for row in document.rows if row.fault == fault]
        cells = {}
        for measure in MEASURES:
            seconds = [getattr(row, measure) for row in rows]
            limit = document.limits.get(fault, {}).get(measure)
            cells[measure] = Cell(percentile(seconds, 50), percentile(seconds, 95), max(seconds), limit)
        yield Line(fault, len(rows), cells, sum(row.refused for row in rows))


def findings(kept: Iterable[Kept]) -> dict[str, int]:
    """All that was wrong, by kind, zeros included."""
    total: Counter[str] = Counter()
    for one in kept:
        total.update(one.findings)
    return dict(total)


def counted(found: Mapping[str, int]) -> str:
    """Findings in words."""
    return ", ".join(f"{count:,} {kind}" for kind, count in found.items())
