"""Helm's renderer as a function: values in, manifests out. Everything else of Helm needs a cluster."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ci import schemas, tools

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "iot-system"
RELEASE = "iot"
NAMESPACE = "iot"
KUBERNETES = max(schemas.VERSIONS)
"""What a chart is rendered for: without a cluster, Helm takes the release that it was built for, or a very old one."""


class HelmError(Exception):
    """Helm refused; the text is Helm's own."""


def values_file(name: str) -> Path:
    """The values file `values/<name>.yaml`."""
    return ROOT / "values" / f"{name}.yaml"


def render(*values: Path, sets: Mapping[str, Any] | None = None, release: str = RELEASE) -> list[Manifest]:
    """The manifests of a first installation, hooks and tests included; the caller may change them.

    ``values`` are files, the last one wins; ``sets`` are single values by dotted path (`{"api.replicas": 2}`).
    Raises HelmError where the chart refuses the values.
    """
    documents = yaml.load_all(render_text(*values, sets=sets, release=release), Loader=yaml.CSafeLoader)
    return [document for document in documents if document]


def render_text(*values: Path, sets: Mapping[str, Any] | None = None, release: str = RELEASE) -> str:
    """What `helm template` prints. The same chart and values are rendered once in a process."""
    settings = tuple((path, json.dumps(value)) for path, value in (sets or {}).items())
    return _cached(digest(CHART), tuple((path, path.read_bytes()) for path in values), settings, release)


def template(*arguments: str, release: str = RELEASE, chart: Path | None = None) -> str:
    """Run `helm template` once, without the cache; of CHART unless another is named. Raises HelmError."""
    run = subprocess.run(
        [
            tools.path("helm"),
            "template",
            release,
            str(chart or CHART),
            "--namespace",
            NAMESPACE,
            "--kube-version",
            KUBERNETES,
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise HelmError(run.stderr.strip())
    return run.stdout


def digest(folder: Path) -> str:
    """A digest of all files below a folder, names and content."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


@cache
def _cached(
    _chart: str, values: tuple[tuple[Path, bytes], ...], settings: tuple[tuple[str, str], ...], release: str
) -> str:
    files = [argument for path, _content in values for argument in ("--values", str(path))]
    single = [argument for path, value in settings for argument in ("--set-json", f"{path}={value}")]
    return template(*files, *single, release=release)
