"""Figures for a person, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from bench import figures
from bench.figures import Spread
from bench.ingest import Report


def text(report: Report) -> str:
    """Everything that a figure needs to be believed."""
    return "\n".join([*_machine(report), "", *_rates(report), "", *_cpu(report)])


def _machine(report: Report) -> Iterator[str]:
    machine = report.machine
    loads = [run.load_before for run in report.runs]
    yield f"Measured {report.date} on {machine.cores} cores of {machine.processor}, {machine.memory_gib:.0f} GiB,"
    yield f"Linux {machine.kernel}; writing 4 KiB and fdatasync takes {machine.sync_ms:.2f} ms (median)."
    yield f"Load average before the turns: {min(loads):.1f} to {max(loads):.1f} (the benchmark's own included)."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in report.versions.items()) + "."


def _rates(report: Report) -> Iterator[str]:
    rounds = 1 + max(run.round for run in report.runs)
    yield f"| side ({rounds} rounds) | readings a turn | readings/s: median (min-max) | times naive: median (min-max) |"
    yield "| --- | ---: | ---: | ---: |"
    for side in report.sides:
        readings = max(run.readings for run in report.runs if run.side == side)
        rates = _spread(figures.rates(report.runs, side), ",.0f")
        ratios = _spread(figures.ratios(report.runs, side, report.reference), ".1f")
        yield f"| {side} | {readings:,} | {rates} | {ratios} |"


def _cpu(report: Report) -> Iterator[str]:
    yield "Processor seconds per million readings, all rounds:"
    yield ""
    for side in report.sides:
        parts = figures.cpu_per_million(report.runs, side)
        told = ", ".join(f"{part} {seconds:.2f}" for part, seconds in parts.items() if seconds >= 0.005)
        yield f"- {side}: {told}"


def _spread(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} ({spread.low:{form}}-{spread.high:{form}})"
