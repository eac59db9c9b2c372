"""A release: whether this commit is one, and its chart as a package, the same bytes from the same commit everywhere.

python -m ci release [--sign KEY]       into dist/; see docs/releasing.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import tempfile
from pathlib import Path

from ci import git, tools
from ci.command import run
from ci.errors import CiError
from ci.folders import ROOT
from ci.progress import note, step

CHART = Path("charts/iot-system")
PROGRAM = Path("runtime/src/iot_system/__init__.py")
TARGET = ROOT / "dist"


class ReleaseError(CiError):
    """This commit is no release; the text has every reason."""


def version(root: Path = ROOT) -> str:
    """The program's version, which everything else has too."""
    found = re.search(r'^__version__ = "(.+)"$', (root / PROGRAM).read_text(), re.MULTILINE)
    if found is None:
        raise CiError(f"{PROGRAM} has no __version__")
    return found[1]


def make(key: str | None = None) -> Path:
    """The package of the chart as this commit has it, in TARGET; with a ``key`` of gpg its signature lies beside it.

    Raises ReleaseError with all reasons why this commit is none.
    """
    if reasons := [*unfinished(), *disagreements()]:
        raise ReleaseError("; ".join(reasons))
    TARGET.mkdir(exist_ok=True)
    with step(f"chart {version()} packaged"), tempfile.TemporaryDirectory() as scratch:
        git.export("HEAD", Path(scratch))
        made = package(Path(scratch), TARGET, int(git.call("log", "-1", "--format=%ct")))
    note(f"{made.relative_to(ROOT)} sha256:{digest(made)}")
    if key:
        note(f"{sign(made, key).relative_to(ROOT)}")
    return made


def unfinished(root: Path = ROOT) -> list[str]:
    """What keeps the commit from being a release: each reason is a sentence."""
    reasons = []
    if git.call("status", "--porcelain"):
        reasons.append("the working tree has changes that are not committed")
    tag = f"v{version(root)}"
    if git.call("tag", "--list", tag) and git.call("rev-parse", f"{tag}^{{commit}}") != git.call("rev-parse", "HEAD"):
        reasons.append(f"{tag} is another commit: raise the version")
    for name, heading in (("CHANGELOG.md", f"## [{version(root)}] - 20"), ("UPGRADING.md", f"## To {version(root)}")):
        if not any(line.startswith(heading) for line in (root / name).read_text().splitlines()):
            reasons.append(f"{name} has no section `{heading}…`")
    return reasons


def disagreements(root: Path = ROOT) -> list[str]:
    """Charts whose version is not the program's: each is a sentence."""
    wanted = version(root)
    charts = sorted((root / CHART).glob("**/Chart.yaml"))
    found = {
        (path.relative_to(root), name, value.strip('"'))
        for path in charts
        for name, value in re.findall(r"^(version|appVersion): (.+)$", path.read_text(), re.MULTILINE)
    }
    return [f"{path} has {name} {value}, not {wanted}" for path, name, value in sorted(found) if value != wanted]


def unraised() -> list[str]:
    """Whether the chart is another one than that of the newest release, and has its version: what `ct lint` asks.

    Without tags, as in a shallow clone, there is nothing to compare with.
    """
    tags = git.call("tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").split()
    if not tags or tags[0] != f"v{version(ROOT)}" or not git.call("diff", "--name-only", tags[0], "--", CHART):
        return []
    return [f"{CHART} is another one than that of {tags[0]}, and has its version: raise it"]


def package(root: Path, target: Path, time_s: int) -> Path:
    """Package the chart of the tree ``root`` into the folder; every file in it has the time, in seconds since 1970.

    Helm writes the time of packaging into the archive, and subcharts in any order, so it is written again.
    """
    with tempfile.TemporaryDirectory() as scratch:
        run(tools.path("helm"), "package", root / CHART, "--destination", scratch)
        (made,) = Path(scratch).glob("*.tgz")
        content = io.BytesIO()
        with tarfile.open(made) as source, tarfile.open(fileobj=content, mode="w") as copy:
            for entry in sorted(source, key=lambda entry: entry.name):
                entry.mtime = time_s
                copy.addfile(entry, source.extractfile(entry))
    result = target / made.name
    result.write_bytes(gzip.compress(content.getvalue(), mtime=time_s))
    return result


def sign(made: Path, key: str) -> Path:
    """Write the package's provenance file beside it, signed by gpg with the key: what `helm verify` reads."""
    with tarfile.open(made) as archive:
        chart = archive.extractfile("iot-system/Chart.yaml")
        assert chart is not None
        text = f"{chart.read().decode()}\n...\nfiles:\n  {made.name}: sha256:{digest(made)}\n"
    result = made.with_name(f"{made.name}.prov")
    command = ("--batch", "--yes", "--local-user", key, "--digest-algo", "SHA512", "--clearsign", "--output", result)
    run("gpg", *command, stdin=text)
    return result


def digest(made: Path) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(made.read_bytes()).hexdigest()
