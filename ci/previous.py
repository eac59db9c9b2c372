"""The release before this one: its chart, and its images, built by its own recipes from the commit in previous.toml."""

from __future__ import annotations

import functools
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ci import folders, git, stamp
from ci.command import run
from ci.errors import CiError
from ci.progress import step

FILE = Path(__file__).with_name("previous.toml")
CHART = Path("charts/iot-system")
COMMIT = re.compile("[0-9a-f]{40}")
NAMES = "from ci import images; print(*(image.full_name for image in images.IMAGES))"


class PreviousError(CiError):
    """The previous release cannot be had from this clone."""


@dataclass(frozen=True)
class Release:
    """A version, and the full hash of the commit that it was."""

    version: str
    commit: str

    @property
    def tag(self) -> str:
        """Of its images here: apart from what anybody else calls by that version."""
        return f"{self.version}-{self.commit[:12]}"


def read(file: Path = FILE) -> Release:
    """The pinned release. Raises PreviousError where the file does not name one."""
    found = tomllib.loads(file.read_text())
    if set(found) != {"version", "commit"} or not COMMIT.fullmatch(found["commit"]):
        raise PreviousError(f"{file.name} must have a version and a commit of 40 hexadecimal digits")
    return Release(**found)


@functools.cache
def tree() -> Path:
    """Its whole tree, in the cache; its chart's `appVersion` is the tag of the images that `images` builds.

    Raises PreviousError where this clone has not got the commit.
    """
    release = read()
    if not git.has(release.commit):
        git.deepen()
    if not git.has(release.commit):
        raise PreviousError(
            f"release {release.version} is not in this clone: fetch the whole history (git fetch --unshallow) to have "
            f"commit {release.commit[:12]}"
        )

    def make(target: Path) -> None:
        with step(f"release {release.version} taken from commit {release.commit[:12]}"):
            git.export(release.commit, target)
            for chart in (target / CHART).rglob("Chart.yaml"):  # each subchart names its own images
                _name_images(chart, release.tag)

    return stamp.folder(folders.cache() / "previous" / f"{release.tag}-{stamp.of(Path(__file__))}", make)


def chart() -> Path:
    """The folder of its chart, with the subcharts."""
    return tree() / CHART


def images() -> list[str]:
    """The full names of its images, which are on this machine from now on; built by its own `python -m ci images`.

    Raises PreviousError as `tree` does, CommandError when a build fails.
    """
    with step(f"images of release {read().version}") as current:
        run(sys.executable, "-m", "ci", "images", "build", cwd=tree(), step=current)
    return run(sys.executable, "-c", NAMES, cwd=tree()).split()


def _name_images(chart: Path, tag: str) -> None:
    chart.write_text(re.sub(r"^appVersion: .*$", f'appVersion: "{tag}"', chart.read_text(), flags=re.MULTILINE))
