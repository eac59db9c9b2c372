"""Reads tools.lock: which programs, at which versions, from where, with which checksums."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.errors import CiError

FILE = Path(__file__).with_name("tools.lock")


class LockError(CiError):
    """The lock file has no such tool, or is not as it must be."""


@dataclass(frozen=True)
class Download:
    """A public release. `sha256` is by platform, such as linux-amd64; `member` is the program's name in an archive."""

    url: str
    sha256: Mapping[str, str]
    member: str | None = None


@dataclass(frozen=True)
class Tool:
    """One entry. `asks` are the arguments by which the program tells its version; none where it cannot."""

    name: str
    version: str
    packages: tuple[str, ...]
    module: str | None = None
    sum: str | None = None
    source: str | None = None
    ldflags: str = ""
    asks: tuple[str, ...] = ()
    download: Download | None = None


@dataclass(frozen=True)
class Lock:
    """The whole file; `go` is the oldest version of Go that builds all of it."""

    go: str
    stock_node_image: str
    tools: Mapping[str, Tool]


@functools.cache
def read(file: Path = FILE) -> Lock:
    """The lock file's contents; raises LockError with the entry and what is wrong with it."""
    content = tomllib.loads(file.read_text())
    try:
        tools = {name: _tool(name, entry) for name, entry in content.pop("tools").items()}
        return Lock(go=content["go"], stock_node_image=content["stock-node-image"], tools=tools)
    except KeyError as missing:
        raise LockError(f"{file.name}: {missing} is missing") from missing


def tool(name: str) -> Tool:
    """The entry of this name; raises LockError, which names those that are there."""
    known = read().tools
    if name not in known:
        raise LockError(f"no tool {name!r} in {FILE.name}: it has {', '.join(known)}")
    return known[name]


def _tool(name: str, entry: Mapping[str, Any]) -> Tool:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    version = fields["version"]
    if "ldflags" in fields:
        fields["ldflags"] = fields["ldflags"].replace("{version}", version)
    if "source" not in fields and not ("module" in fields and "sum" in fields):
        raise LockError(f"{name}: needs a source, or a module with its sum")
    try:
        if "download" in fields:
            fields["download"] = Download(**fields["download"])
        return Tool(name=name, **fields)
    except TypeError as unknown:
        raise LockError(f"{name}: {unknown}") from unknown
