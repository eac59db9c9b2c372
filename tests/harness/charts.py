"""The chart as users get it: a package, from an OCI registry or a repository of charts."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

from chart_harness.errors import HelmError

from ci import release, tools
from ci.folders import ROOT
from tests.harness.http_server import serving

TIME_S = 1_800_000_000
"""When it was packaged."""
HELM_S = 600.0


class HelmUser:
    """Helm of somebody who has never used it here: its settings and caches are in the folder ``home``."""

    def __init__(self, home: Path) -> None:
        self._environment = os.environ | {
            f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")
        }

    def __call__(self, *arguments: str | Path) -> str:
        """What a command prints. Raises HelmError where Helm refuses."""
        command = (tools.path("helm"), *arguments)
        run = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=HELM_S
        )
        if run.returncode:
            raise HelmError(run.stderr.strip())
        return run.stdout


def package(folder: Path) -> Path:
    """Makes it in ``folder``."""
    return release.package(ROOT, folder, TIME_S)


@contextmanager
def repository(packaged: Path, folder: Path) -> Iterator[str]:
    """The URL of a repository of charts, as `helm repo index` makes it and any web server serves it."""
    charts = folder / "repository"
    charts.mkdir()
    shutil.copy(packaged, charts)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(charts))
    with serving(handler) as url:
        HelmUser(folder / "publisher")("repo", "index", charts, "--url", url)
        yield url
