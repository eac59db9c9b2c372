"""Helm's renderer as a function: values in, manifests out. Everything else of Helm needs a cluster."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chart_harness.errors import HelmError, SettingError

Manifest = dict[str, Any]
State = frozenset[tuple[str, int, int]]
"""Path, size in bytes and time of change (ns since 1970) of each file."""
RELEASE = "release"
NAMESPACE = "namespace"
SEPARATOR = re.compile(r"^---(?=\s)", re.MULTILINE)
"""Between documents of YAML: no line of a document begins like this."""
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
        documents = map(_read, SEPARATOR.split(self.render_text(*values, sets=sets)))
        return [document for document in documents if document]

    def render_text(self, *values: Path, sets: Mapping[str, Any] | None = None) -> str:
        """What `helm template` prints. The same chart and values are rendered once in a process."""
        settings = tuple((path, json.dumps(value)) for path, value in (sets or {}).items())
        return _cached(self, state(self.folder), tuple((path, content(path)) for path in values), settings)

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


def state(folder: Path) -> State:
    """By which it is known whether a file below a folder has changed."""
    files = (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    return frozenset((file, found.st_size, found.st_mtime_ns) for file in files for found in [os.stat(file)])


def _read(text: str) -> Any:
    """What a document of YAML says, for the caller to change."""
    return pickle.loads(_pickled(text))


@cache
def _pickled(text: str) -> bytes:
    """Read once in a process: most documents of two renderings are the same."""
    return pickle.dumps(yaml.load(text, Loader=yaml.CSafeLoader))


@cache
def _cached(
    chart: Chart, _state: State, values: tuple[tuple[Path, bytes], ...], settings: tuple[tuple[str, str], ...]
) -> str:
    files = [argument for path, _content in values for argument in ("--values", str(path))]
    single = [argument for path, value in settings for argument in ("--set-json", f"{path}={value}")]
    return chart.template(*files, *single)
