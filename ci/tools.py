"""Where a tool is: on PATH at the pinned version, else in the cache, else downloaded or built into it."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

from ci import download, folders, go, lock, stamp
from ci.command import CommandError, run
from ci.lock import Tool
from ci.progress import note, step

VERSION_S = 10.0
# A build of the key has the value's program too.
ALSO_IN = {"kubectl": "kubernetes"}


@functools.cache
def path(name: str) -> Path:
    """The program of this name, at the version of the lock file.

    Raises LockError for a name that is not in it, and another CiError when the tool can be had in no way.
    """
    tool = lock.tool(name)
    on_path = _on_path(tool)
    if on_path:
        return on_path
    for other in (name, ALSO_IN.get(name, name)):
        ready = _cached(lock.tool(other)) / name
        if ready.exists():
            return ready
    return folder(name) / name


@functools.cache
def folder(name: str) -> Path:
    """The folder in the cache that has the tool's programs, each under its own name; raises as `path` does."""
    tool = lock.tool(name)

    def make(target: Path) -> None:
        if download.offered(tool):
            with step(f"download {name} {tool.version}"):
                try:
                    download.program(tool, target)
                except download.DownloadError as failed:
                    note(str(failed))
                else:
                    return
        go.require()
        with step(f"build {name} {tool.version}") as current:
            go.build(tool, target, current)

    return stamp.folder(_cached(tool), make)


def stamp_of(name: str) -> str:
    """The stamp of the tool's recipe, whether it is there or not."""
    tool = lock.tool(name)
    sources = [go.SOURCES / tool.source] if tool.source else []
    return stamp.of(repr(tool), go.LDFLAGS, repr(go.ENV), *sources)


def _cached(tool: Tool) -> Path:
    return folders.cache() / "tools" / f"{tool.name}-{tool.version}-{stamp_of(tool.name)}"


def _on_path(tool: Tool) -> Path | None:
    """The program on PATH when it says that it has the pinned version."""
    found = shutil.which(tool.name)
    if not found or not tool.asks:
        return None
    try:
        said = run(found, *tool.asks, timeout_s=VERSION_S)
    except CommandError:
        return None
    pinned = re.search(rf"(?<![\d.])v?{re.escape(tool.version)}(?![\d.]*\d)", said)
    return Path(found) if pinned else None
