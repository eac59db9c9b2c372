"""Helm's renderer as a function: values in, manifests out. Everything else of Helm needs a cluster."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chart_harness.errors import HelmError, SettingError

Manifest = dict[str, Any]
RELEASE = "release"
NAMESPACE = "namespace"
WASTEFUL = {"GOGC": "off"}
"""Helm ends before it would be worth it to free memory: that took a quarter of its time, and saved 15 MiB of 67."""


@dataclass(frozen=True)
class Chart:
    """A chart in a ``folder``, and how it is rendered.

    Without a ``kube_version`` that is for the Kubernetes which Helm was built for.
    """

    folder: Path
    helm_program: str
    release: str = RELEASE
    namespace: str = NAMESPACE
    kube_version: str | None = None

    def render(self, *values: Path, sets: Mapping[str, Any] | None = None) -> list[Manifest]:
        """The manifests of a first installation, hooks and tests included; the caller may change them.

        ``values`` are files, the last one wins; ``sets`` are single values by dotted path (`{"web.replicas": 2}`).
        Raises HelmError where the chart refuses the values, SettingError for a file that is not there.
        """
        documents = yaml.load_all(self.render_text(*values, sets=sets), Loader=yaml.CSafeLoader)
        return [document for document in documents if document]

    def render_text(self, *values: Path, sets: Mapping[str, Any] | None = None) -> str:
        """What `helm template` prints. The same chart and values are rendered once in a process."""
        settings = tuple((path, json.dumps(value)) for path, value in (sets or {}).items())
        return _cached(self, digest(self.folder), tuple((path, content(path)) for path in values), settings)

    def template(self, *arguments: str) -> str:
        """Run `helm template` once, without the cache. Raises HelmError."""
        version = ("--kube-version", self.kube_version) if self.kube_version else ()
        given = (str(self.folder), "--namespace", self.namespace, *version, *arguments)
        command = [self.helm_program, "template", self.release, *given]
        run = subprocess.run(command, env={**os.environ, **WASTEFUL}, capture_output=True, text=True, check=False)
        if run.returncode:
            raise HelmError(run.stderr.strip())
        return run.stdout


def content(values: Path) -> bytes:
    """Of a values file. Raises SettingError."""
    if not values.is_file():
        raise SettingError(f"there is no values file {values}")
    return values.read_bytes()


def set_arguments(sets: Mapping[str, Any]) -> list[str]:
    """Single values by dotted path, as Helm takes them."""
    return [part for path, value in sets.items() for part in ("--set-json", f"{path}={json.dumps(value)}")]


def digest(folder: Path) -> str:
    """A digest of all files below a folder, names and content."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


@cache
def _cached(
    chart: Chart, _digest: str, values: tuple[tuple[Path, bytes], ...], settings: tuple[tuple[str, str], ...]
) -> str:
    files = [argument for path, _content in values for argument in ("--values", str(path))]
    single = [argument for path, value in settings for argument in ("--set-json", f"{path}={value}")]
    return chart.template(*files, *single)
