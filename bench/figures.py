"""The arithmetic of the benchmark: rates, ratios, and what many rounds say together."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Protocol

import msgspec


class Run(msgspec.Struct, frozen=True):
    """One side in one round.

    ``seconds`` from the first byte sent until the last row was committed, ``acknowledged_s`` until the client had its
    last acknowledgement; ``cpu_s`` is the processor time of each part meanwhile.
    """

    side: str
    round: int
    readings: int
    seconds: float
    acknowledged_s: float
    cpu_s: dict[str, float]
    load_before: float
    """The machine's load average (1 minute) when it began."""

    @property
    def rate(self) -> float:
        """Readings per second."""
        return self.readings / self.seconds


class Rated(Protocol):
    """Something that a side did in a round."""

    @property
    def side(self) -> str: ...
    @property
    def round(self) -> int: ...
    @property
    def rate(self) -> float: ...


class Spread(msgspec.Struct, frozen=True):
    """What several rounds gave."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median, minimum and maximum; there must be at least one value."""
    return Spread(median(values), min(values), max(values))


def rates(runs: Sequence[Rated], side: str) -> Spread:
    """Of one side, over all rounds."""
    return spread([run.rate for run in runs if run.side == side])


def ratios(runs: Sequence[Rated], side: str, reference: str) -> Spread:
    """How many times the rate of ``reference`` a side reached, round by round."""
    by_round = {run.round: run.rate for run in runs if run.side == reference}
    return spread([run.rate / by_round[run.round] for run in runs if run.side == side])


def cpu_per_million(runs: Sequence[Run], side: str) -> dict[str, float]:
    """Part → its processor seconds per million readings over all rounds of a side, the largest first."""
    own = [run for run in runs if run.side == side]
    readings = sum(run.readings for run in own)
    totals: dict[str, float] = {}
    for run in own:
        for part, seconds in run.cpu_s.items():
            totals[part] = totals.get(part, 0.0) + seconds
    return {part: seconds * 1e6 / readings for part, seconds in sorted(totals.items(), key=lambda one: -one[1])}


def order(sides: Sequence[str], round_: int) -> list[str]:
    """The sides' turns in a round: each round begins one further, so that no side always follows the same one."""
    first = round_ % len(sides)
    return [*sides[first:], *sides[:first]]
