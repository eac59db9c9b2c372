"""checkov, at its locked version, in a folder of its own: it pins many packages, and none of them is ours."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from ci import folders, locks, stamp
from ci.command import CommandError, run
from ci.errors import CiError
from ci.progress import step

LOCK = locks.RUNTIME / "requirements" / f"{locks.CHECKOV}.txt"
LONGEST_S = 240.0
OPTIONS = ("--framework", "kubernetes", "--skip-download", "--soft-fail", "--compact", "--quiet", "--output", "json")


class Finding(NamedTuple):
    """A check that failed for an object; ``subject`` is checkov's own name of it: `Deployment.iot.api`."""

    check: str
    what: str
    subject: str


class CheckovError(CiError):
    """It cannot be installed, or did not read what it was given."""


def findings(manifests: Path) -> list[Finding]:
    """What checkov reports about the files of a folder. Raises CheckovError where it did not read one of them."""
    command = (sys.executable, "-m", "checkov.main", "--directory", manifests, *OPTIONS)
    answer = json.loads(run(*command, env={"PYTHONPATH": str(folder())}, timeout_s=LONGEST_S))
    if not answer.get("results", {}).get("passed_checks") and not answer.get("results", {}).get("failed_checks"):
        raise CheckovError(f"checkov found nothing to look at in {manifests}: {answer}")
    if answer["summary"]["parsing_errors"]:
        raise CheckovError(f"checkov cannot read {answer['results']['parsing_errors']}")
    failed = answer["results"]["failed_checks"]
    return [Finding(one["check_id"], one["check_name"], one["resource"]) for one in failed]


def folder() -> Path:
    """The folder with its packages, for this Python; installed at the first call. Raises CheckovError."""
    python = ".".join(map(str, sys.version_info[:2]))

    def make(target: Path) -> None:
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        if uv is None:
            raise CheckovError("checkov is installed by uv, which is not here: pip install uv")
        with step("install checkov") as current:
            options = ("--quiet", "--require-hashes", "--no-deps", "--compile-bytecode", "--python", sys.executable)
            try:
                run(uv, "pip", "install", *options, "--target", target, "--requirement", LOCK, step=current)
            except CommandError as failed:
                raise CheckovError(f"cannot install checkov: {failed}") from failed

    return stamp.folder(folders.cache() / "tools" / f"checkov-{stamp.of(LOCK, python)}", make)
