"""What a benchmark is given, and the ground that it stands on."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from iot_system.commands.processes import Children

from bench.postgres import Postgres, running_postgres

Tell = Callable[[str], None]
"""Takes a line about what has been done."""


class Context(msgspec.Struct, frozen=True):
    """``rounds`` of each side, ``messages`` of a side in a round, never more than ``devices`` devices."""

    rounds: int
    messages: int
    devices: int
    tell: Tell


class Ground(msgspec.Struct, frozen=True):
    """A folder on the disk that is measured, children that end with it, and a Postgres with nothing in it."""

    folder: Path
    children: Children
    postgres: Postgres


@contextlib.asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """Nothing that was started on it is left afterwards: every process below this one is killed."""
    # Short, for the names of Ray's sockets, of which the system allows 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="iot-bench-", dir="/tmp"))
    children = Children(folder)
    try:
        async with running_postgres(folder) as postgres:
            yield Ground(folder, children, postgres)
    finally:
        await children.stop()
        shutil.rmtree(folder, ignore_errors=True)
