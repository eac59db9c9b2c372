"""All benchmarks by their names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from bench.actors.benchmark import actors
from bench.commands.benchmark import commands
from bench.connections import connections
from bench.context import Context
from bench.growth import growth
from bench.ingest import ingest
from bench.ledger import ledger


class Benchmark(msgspec.Struct, frozen=True):
    """``measure`` returns what `bench.results.Results` has under the benchmark's name; takes about ``minutes``."""

    measure: Callable[[Context], Awaitable[Any]]
    minutes: int


BENCHMARKS: Mapping[str, Benchmark] = {
    "ingest": Benchmark(ingest, 12),
    "actors": Benchmark(actors, 8),
    "commands": Benchmark(commands, 2),
    "connections": Benchmark(connections, 6),
    "growth": Benchmark(growth, 15),
    "ledger": Benchmark(ledger, 4),
}
