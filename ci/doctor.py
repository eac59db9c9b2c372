"""What this machine has, and lacks, for a cluster; nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ci import cluster, engine, folders, go, machine, packages
from ci.errors import CiError

MEMORY_GIB = 6
# Go's caches, the node image, and three nodes with everything loaded.
DISK_GIB = {"stock": 8, "local": 25}


@dataclass(frozen=True)
class Finding:
    """One line of the report; a `lack` is what must be there before a cluster can be."""

    text: str
    lack: bool = False


def examine() -> Iterator[Finding]:
    """All findings. System packages and kernel settings are no lack where `ci cluster up` would see to them itself."""
    lacking = [] if engine.docker_answers() else packages.missing(packages.ENGINE)
    if lacking:
        yield _packages(lacking)
        mode: cluster.Mode = "local"
    else:
        containers = engine.find()
        mode = cluster.choose(containers)
        yield Finding(f"container engine: {containers.name}; node image: {mode}")
    if mode == "local":
        yield _go()
        lacking = packages.missing(packages.BASE_IMAGES)
        if lacking:
            yield _packages(lacking)
    for setting in machine.lacking():
        yield Finding(f"kernel: needs {setting}", lack=not machine.may_prepare())
    yield _memory()
    yield _disk(DISK_GIB[mode])


def _packages(lacking: list[str]) -> Finding:
    by_itself = packages.may_install()
    how = "will be installed" if by_itself else "to be installed"
    return Finding(f"system packages {how}: {' '.join(lacking)}", lack=not by_itself)


def _go() -> Finding:
    try:
        go.require()
    except CiError as error:
        return Finding(str(error), lack=True)
    return Finding("Go: there, and new enough")


def _memory() -> Finding:
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []
    kib = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}
    free = kib.get("MemAvailable", 0) >> 20
    return Finding(f"memory: {free} GiB available, {MEMORY_GIB} needed", lack=bool(kib) and free < MEMORY_GIB)


def _disk(needed: int) -> Finding:
    folder = folders.cache()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free >> 30
    return Finding(f"disk: {free} GiB free below {folder}, up to {needed} needed", lack=free < needed)
