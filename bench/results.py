"""What one run of the benchmarks found, as it is written to a file."""

from __future__ import annotations

import time

import msgspec

from bench.actors.benchmark import Actors
from bench.commands.benchmark import Commands
from bench.connections import Connections
from bench.context import ground
from bench.growth import Growth
from bench.ingest import Ingest
from bench.ledger import Ledgers
from bench.machine import Machine, this_machine
from bench.versions import versions


class Results(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A benchmark that was not run is None."""

    date: str
    machine: Machine
    versions: dict[str, str]
    ingest: Ingest | None = None
    actors: Actors | None = None
    commands: Commands | None = None
    connections: Connections | None = None
    growth: Growth | None = None
    ledger: Ledgers | None = None


async def on_this_machine() -> Results:
    """Nothing measured yet but the disk."""
    async with ground() as on:
        return Results(
            date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            machine=this_machine(on.folder),
            versions=versions() | {"Postgres": on.postgres.version},
        )
