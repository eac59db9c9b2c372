"""What this process has started, by part: processor time and memory (Linux). A client tells its own time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from iot_system.commands.processes import descendants

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HOST, API = "shard and coordinator", "api"
_PARTS = (
    ("ray::Host", HOST),
    ("iot_system api", API),
    ("iot_system actor-system", "actor-system"),
    ("nats-server", "nats-server"),
    ("mosquitto", "mosquitto"),
    ("postgres", "postgres"),
    ("bench.sides.subscriber", "subscriber"),
    ("bench.sides.batcher", "subscriber"),
    ("bench.sides.consumer", "raw loop"),
    ("ray", "Ray itself"),
)
"""What a command line holds → the part; the first that fits."""


def cpu_s() -> dict[str, float]:
    """Part → seconds so far, of the processes that live now."""
    totals: dict[str, float] = {}
    for part, folder in _processes():
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything; user and system time are 12 and 13 places behind it.
            fields = folder.joinpath("stat").read_text(errors="replace").rpartition(")")[2].split()
            totals[part] = totals.get(part, 0.0) + (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return totals


def resident_bytes(part: str) -> list[int]:
    """The memory in use by each process of a part, the largest first."""
    return sorted((resident_of(folder) for one, folder in _processes() if one == part), reverse=True)


def resident_of(folder: Path) -> int:
    """The memory in use by the process that ``folder`` of /proc describes, in bytes."""
    return int(folder.joinpath("statm").read_text().split()[1]) * PAGE_BYTES


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Part → seconds between two looks, where there were any."""
    return {part: used for part, total in after.items() if (used := total - before.get(part, 0.0)) > 0}


def _processes() -> Iterator[tuple[str, Path]]:
    """Part, and folder of /proc."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            folder = Path("/proc") / str(pid)
            command = folder.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "bench.senders" not in command:
                yield next((part for text, part in _PARTS if text in command), "others"), folder
