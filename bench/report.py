"""Figures for a person, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from bench import figures
from bench.figures import Spread
from bench.ingest import Ingest, Size
from bench.results import Results


def text(results: Results) -> str:
    """Everything that a figure needs to be believed."""
    lines = [*_machine(results)]
    if results.ingest:
        lines += ["", *_ingest(results.ingest)]
    return "\n".join(lines)


def _machine(results: Results) -> Iterator[str]:
    machine = results.machine
    yield f"Measured {results.date} on {machine.cores} cores of {machine.processor}, {machine.memory_gib:.0f} GiB,"
    yield f"Linux {machine.kernel}; writing 4 KiB and fdatasync takes {machine.sync_ms:.2f} ms (median)."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in results.versions.items()) + "."


def _ingest(ingest: Ingest) -> Iterator[str]:
    yield "## Ingest"
    for size in ingest.sizes:
        yield from ("", *_size(ingest, size))


def _size(ingest: Ingest, size: Size) -> Iterator[str]:
    runs, rounds = size.runs, 1 + max(run.round for run in size.runs)
    loads = [run.load_before for run in runs]
    yield f"{size.metrics} readings in a message. Load average before the turns: {min(loads):.1f} to {max(loads):.1f}."
    yield ""
    times = " | ".join(f"times {name.partition(':')[0]}" for name in ingest.references)
    yield f"| side ({rounds} rounds) | readings a turn | readings/s: median (min-max) | {times} |"
    yield "| --- | ---: | ---: |" + " ---: |" * len(ingest.references)
    for side in ingest.sides:
        readings = max(run.readings for run in runs if run.side == side)
        rates = _spread(figures.rates(runs, side), ",.0f")
        ratios = " | ".join(_spread(figures.ratios(runs, side, one), ".2f") for one in ingest.references)
        yield f"| {side} | {readings:,} | {rates} | {ratios} |"
    yield ""
    yield "Processor seconds per million readings, all rounds:"
    yield ""
    for side in ingest.sides:
        parts = figures.cpu_per_million(runs, side)
        told = ", ".join(f"{part} {seconds:.2f}" for part, seconds in parts.items() if seconds >= 0.005)
        yield f"- {side}: {told}"


def _spread(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} ({spread.low:{form}}-{spread.high:{form}})"
