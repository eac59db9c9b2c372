"""Figures for a person, in Markdown: `python -m bench.report FILE` renders what a run wrote with --json."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench import figures
from bench.actors.benchmark import Actors, Waking
from bench.commands.benchmark import Commands
from bench.connections import Connections
from bench.figures import Run, Spread
from bench.growth import Growth
from bench.ingest import Ingest, Size
from bench.ledger import Ledgers
from bench.results import Results


def text(results: Results) -> str:
    """Everything that a figure needs to be believed."""
    parts: list[Iterator[str]] = [_machine(results)]
    if results.ingest:
        parts.append(_ingest(results.ingest))
    if results.actors:
        parts.append(_actors(results.actors))
    if results.commands:
        parts.append(_commands(results.commands))
    if results.connections:
        parts.append(_connections(results.connections))
    if results.growth:
        parts.append(_growth(results.growth))
    if results.ledger:
        parts.append(_ledgers(results.ledger))
    return "\n\n".join("\n".join(part) for part in parts)


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
    runs, rounds = size.runs, _rounds(size.runs)
    yield f"{size.metrics} readings in a message. {_load(runs)}"
    yield ""
    times = [f"times {name.partition(':')[0]}" for name in ingest.references]
    yield from _head(f"side ({rounds} rounds)", "readings a turn", "readings/s", *times)
    for side in ingest.sides:
        readings = max(run.readings for run in runs if run.side == side)
        ratios = [_spread(figures.ratios(runs, side, one), ".2f") for one in ingest.references]
        yield _row(side, f"{readings:,}", _spread(figures.rates(runs, side), ",.0f"), *ratios)
    yield ""
    yield "Processor seconds per million readings, all rounds:"
    yield ""
    for side in ingest.sides:
        parts = figures.cpu_per_million(runs, side)
        told = ", ".join(f"{part} {seconds:.2f}" for part, seconds in parts.items() if seconds >= 0.005)
        yield f"- {side}: {told}"


def _actors(actors: Actors) -> Iterator[str]:
    yield "## Actors"
    for metrics in sorted({update.metrics for update in actors.updates}, reverse=True):
        updates = [update for update in actors.updates if update.metrics == metrics]
        yield ""
        yield f"{metrics} readings in a message."
        yield ""
        yield from _head(f"side ({1 + max(update.round for update in updates)} rounds)", "messages/s", "times Ray")
        for side in actors.sides:
            rates, ratios = figures.rates(updates, side), figures.ratios(updates, side, actors.reference)
            yield _row(side, _spread(rates, ",.0f"), _spread(ratios, ",.1f"))
    yield ""
    yield from _head("devices woken, from", "activations/s", "bytes each, resident", "counted by tracemalloc")
    for waking in actors.wakings:
        yield _waking(waking)


def _waking(waking: Waking) -> str:
    rates = figures.spread([one.devices / one.seconds for one in waking.rounds])
    resident = figures.spread([one.resident_bytes / one.devices for one in waking.rounds])
    traced = "" if waking.traced_bytes is None else f"{waking.traced_bytes / waking.devices:,.0f}"
    what = f"{waking.devices:,} with {waking.metrics} newest readings, {waking.store}"
    return _row(what, _spread(rates, ",.0f"), _spread(resident, ",.0f"), traced)


def _commands(commands: Commands) -> Iterator[str]:
    yield "## Commands"
    yield ""
    yield from _head("milliseconds", "times in the sum", "p50", "p99", "longest")
    for what in (commands.trip, *commands.hops):
        own = [one for one in commands.latencies if one.what == what]
        p50, p99 = figures.spread([one.p50_ms for one in own]), figures.spread([one.p99_ms for one in own])
        times = str(commands.hops.get(what, ""))
        yield _row(what, times, _spread(p50, ".2f"), _spread(p99, ".2f"), f"{max(one.longest_ms for one in own):.2f}")
    sums: dict[int, float] = {}
    for one in commands.latencies:
        sums[one.round] = sums.get(one.round, 0.0) + one.p50_ms * commands.hops.get(one.what, 0)
    trips = [one for one in commands.latencies if one.what == commands.trip]
    ratios = figures.spread([one.p50_ms / sums[one.round] for one in trips])
    yield _row("sum of the hops' p50", "", _spread(figures.spread(list(sums.values())), ".2f"), "", "")
    yield ""
    yield f"The trip's p50 is {_spread(ratios, '.2f')} times the sum of the hops in its round."


def _connections(connections: Connections) -> Iterator[str]:
    memory, runs = connections.memory, connections.runs
    each, before, after = (memory.after - memory.before) / memory.idle, memory.before / 2**20, memory.after / 2**20
    yield "## Connections"
    yield ""
    yield f"{memory.idle:,} idle clients take {each:,.0f} bytes each in the API process, which has"
    yield f"{before:.0f} MiB before they come and {after:.0f} MiB with them. {_load(runs)}"
    yield ""
    alone, _ = connections.sides
    yield from _head(f"ingest by MQTT ({_rounds(runs)} rounds)", "readings/s", "times alone")
    for side in connections.sides:
        ratios = figures.ratios(runs, side, alone)
        yield _row(side, _spread(figures.rates(runs, side), ",.0f"), _spread(ratios, ".2f"))


def _growth(growth: Growth) -> Iterator[str]:
    yield "## Growth"
    yield ""
    yield from _head(
        *("partitions", "shards", "devices", "readings/s, waking all", "readings/s, awake"),
        *("MiB of each shard", "start, s", "claim of all, s", "registered/s"),
    )
    for point in growth.points:
        yield _row(
            *(f"{count:,}" for count in (point.partitions, point.shards, point.devices)),
            *(f"{point.first:,.0f}", f"{point.again:,.0f}"),
            ", ".join(f"{size / 2**20:.0f}" for size in point.shard_bytes),
            *(f"{point.start_s:.1f}", f"{point.claim_s:.2f}", f"{point.devices / point.register_s:,.0f}"),
        )


def _ledgers(ledgers: Ledgers) -> Iterator[str]:
    runs = ledgers.runs
    yield "## Ledger"
    yield ""
    yield from _head(f"the tests' own load at {ledgers.readings_a_second:,} readings/s ({len(runs)} rounds)", "")
    for what, values, form in (
        ("readings/s acknowledged", [one.readings / one.seconds for one in runs], ",.0f"),
        ("cores taken by the load, its ledger included", [one.load_cpu_s / one.seconds for one in runs], ".3f"),
        ("cores taken by who follows the ledger", [one.follow_cpu_s / one.seconds for one in runs], ".3f"),
        ("seconds of the checker per million rows", [one.check_cpu_s * 1e6 / one.readings for one in runs], ".1f"),
    ):
        yield _row(what, _spread(figures.spread(values), form))


def _load(runs: Sequence[Run]) -> str:
    loads = [run.load_before for run in runs]
    return f"Load average before the turns: {min(loads):.1f} to {max(loads):.1f}, {median(loads):.1f} in the middle."


def _rounds(runs: Sequence[Run]) -> int:
    return 1 + max(run.round for run in runs)


def _head(first: str, *others: str) -> Iterator[str]:
    yield _row(first, *others)
    yield "| --- |" + " ---: |" * len(others)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(spread: Spread, form: str) -> str:
    """Median, and in parentheses the least and the most."""
    return f"{spread.median:{form}} ({spread.low:{form}}-{spread.high:{form}})"


if __name__ == "__main__":
    print(text(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Results)))
