"""This project's chart, rendered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chart_harness.rendering import Chart, Manifest

from ci import schemas, tools

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "iot-system"
RELEASE = "iot"
NAMESPACE = "iot"
KUBERNETES = max(schemas.VERSIONS)
"""What a chart is rendered for: without a cluster, Helm takes the release that it was built for, or a very old one."""


def values_file(name: str) -> Path:
    """The values file `values/<name>.yaml`."""
    return ROOT / "values" / f"{name}.yaml"


def render(*values: Path, sets: Mapping[str, Any] | None = None, release: str = RELEASE) -> list[Manifest]:
    """As `Chart.render`, of CHART."""
    return _chart(CHART, release).render(*values, sets=sets)


def render_text(*values: Path, sets: Mapping[str, Any] | None = None, release: str = RELEASE) -> str:
    """As `Chart.render_text`, of CHART."""
    return _chart(CHART, release).render_text(*values, sets=sets)


def template(*arguments: str, release: str = RELEASE, chart: Path | None = None) -> str:
    """As `Chart.template`; of CHART unless another is named."""
    return _chart(chart or CHART, release).template(*arguments)


def _chart(folder: Path, release: str) -> Chart:
    return Chart(folder, str(tools.path("helm")), release, NAMESPACE, KUBERNETES)
