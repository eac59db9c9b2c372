"""Programs and sources from the Go module proxy. The module's checksum is held against the lock file."""

from __future__ import annotations

import functools
import json
import re
import shutil
import tempfile
from pathlib import Path

from ci import lock
from ci.command import run
from ci.errors import CiError
from ci.folders import ROOT
from ci.lock import Tool
from ci.progress import Step

SOURCES = ROOT / "ci" / "go"
LDFLAGS = "-s -w"
# Reproducible, static, and by nothing but the module itself.
ENV = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath", "GOWORK": "off"}
# They make a build faster: the compiler collects its rubbish less often, and writes no debugging information that -w
# would throw away. No stamp has them: a program built without them differs only in what `go version -m` tells of it.
FAST = {"GOGC": "400", "GOFLAGS": f"{ENV['GOFLAGS']} -gcflags=all=-dwarf=false"}


class GoError(CiError):
    """A module is not the one that was pinned."""


class NoGoError(GoError):
    """Go is missing or too old."""


def build(tool: Tool, folder: Path, step: Step | None = None) -> None:
    """Build all of the tool's packages into the folder, each under its own name."""
    require()
    if tool.module:
        source(tool)
    flags = f"{LDFLAGS} {tool.ldflags}".strip()
    if tool.source:
        command = ("go", "build", "-ldflags", flags, "-o", f"{folder}/", *tool.packages)
        run(*command, cwd=SOURCES / tool.source, env={**ENV, **FAST}, step=step)
        return
    versioned = (f"{package}@v{tool.version}" for package in tool.packages)
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        command = ("go", "install", "-ldflags", flags, *versioned)
        run(*command, cwd=Path(outside_of_any_module), env={**ENV, **FAST, "GOBIN": str(folder)}, step=step)


def source(tool: Tool) -> Path:
    """The folder with the module's sources, in Go's own cache; raises GoError when its checksum is another."""
    require()
    wanted = f"{tool.module}@v{tool.version}"
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        found = json.loads(run("go", "mod", "download", "-json", wanted, cwd=Path(outside_of_any_module), env=ENV))
    if found["Sum"] != tool.sum:
        raise GoError(f"{wanted} has the checksum {found['Sum']}, but {tool.sum} is pinned")
    return Path(found["Dir"])


@functools.cache
def require() -> None:
    """Raises NoGoError when there is no Go, or one that is too old for the lock file."""
    oldest = lock.read().go
    if not shutil.which("go"):
        raise NoGoError(f"tools are built with Go, which is not on PATH: install Go {oldest} or later")
    with tempfile.TemporaryDirectory() as outside_of_any_module:
        version = run("go", "env", "GOVERSION", cwd=Path(outside_of_any_module)).strip()
    if _numbers(version) < _numbers(oldest):
        raise NoGoError(f"tools are built with Go {oldest} or later, but this is {version}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
