"""The machine that a figure holds for."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

SYNCS = 200


class Machine(msgspec.Struct, frozen=True):
    """``sync_ms`` is the median of writing 4 KiB and fdatasync where the servers keep their data."""

    cores: int
    processor: str
    memory_gib: float
    kernel: str
    sync_ms: float


def this_machine(folder: Path) -> Machine:
    """Ask the system, and try its disk in ``folder``."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_field("/proc/cpuinfo", "model name"),
        memory_gib=int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20,
        kernel=platform.release(),
        sync_ms=_sync_ms(folder),
    )


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        field, _, value = line.partition(":")
        if field.strip() == name:
            return value.strip()
    return "0 unknown"


def _sync_ms(folder: Path) -> float:
    times_s = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            began_s = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
            times_s.append(time.perf_counter() - began_s)
    return statistics.median(times_s) * 1000
