"""What this project asks git."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

from ci.command import run, works
from ci.folders import ROOT


def call(*arguments: str | Path) -> str:
    """What `git ARGUMENTS` prints, in the checkout; raises CommandError."""
    return run("git", "-C", ROOT, *arguments)


def has(commit: str) -> bool:
    """Whether the commit is in this clone."""
    return works("git", "-C", ROOT, "cat-file", "-e", f"{commit}^{{commit}}")


def deepen() -> None:
    """Fetch what a shallow clone has left out, where it can be had."""
    works("git", "-C", ROOT, "fetch", "--quiet", "--unshallow")


def export(commit: str, target: Path) -> None:
    """Write the commit's tree into the folder; every file has the commit's time."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        archive = Path(scratch) / "tree.tar"
        call("archive", "--output", archive, commit)
        with tarfile.open(archive) as content:
            content.extractall(target, filter="data")
