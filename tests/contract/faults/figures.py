"""What the runs of each fault have counted, for the end of the output."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

COUNTED = "counted"
"""The property of a test that has a run for the table: the fault's name, and its figures."""


class Figures(NamedTuple):
    """What one run has counted; requests ``repeated`` because nobody knew what had become of them."""

    readings: int
    commands: int
    patches: int
    messages: int
    repeated: int


class Table:
    """All runs of a session; whatever is in it was neither lost nor doubled."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Figures]] = defaultdict(list)

    def add(self, fault: str, figures: Figures) -> None:
        """One run that came out right."""
        self._runs[fault].append(figures)

    def lines(self) -> list[str]:
        """As text; empty without runs."""
        if not self._runs:
            return []
        width = max(map(len, self._runs))
        columns = "  ".join(f"{name:>8}" for name in ("runs", *Figures._fields))
        return [f"{'killed':{width}}  {columns}", *(self._line(fault, width) for fault in self._runs)]

    def _line(self, fault: str, width: int) -> str:
        runs = self._runs[fault]
        sums = (len(runs), *map(sum, zip(*runs, strict=True)))
        return f"{fault:{width}}  " + "  ".join(f"{one:8,}" for one in sums)
