"""The chart as a package."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pytest
import yaml
from chart_harness.errors import HelmError

from ci import previous, release, tools
from ci.folders import ROOT
from tests.harness import helm
from tests.render.rendered import PRODUCTION, TESTING

TEXTS = ("apiVersion", "name", "version", "kubeVersion", "description", "type", "home", "icon", "appVersion")
LISTS = ("keywords", "sources", "dependencies", "maintainers")
FIELDS = {**dict.fromkeys(TEXTS, str), **dict.fromkeys(LISTS, list), "deprecated": bool, "annotations": dict}
"""https://helm.sh/docs/topics/charts/#the-chartyaml-file: Helm itself passes over what it does not know."""
FIELDS_OF_DEPENDENCIES = {"name", "version", "repository", "condition", "tags", "import-values", "alias"}


def lint(chart: Path, *values: Path) -> subprocess.CompletedProcess[str]:
    """What Helm says of the chart with these values files; warnings count."""
    files = [argument for path in values for argument in ("--values", str(path))]
    command = [str(tools.path("helm")), "lint", "--strict", "--kube-version", helm.KUBERNETES, str(chart), *files]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_helm_finds_nothing_to_complain_about_in_any_values_file() -> None:
    for path in sorted((ROOT / "values").rglob("*.yaml")):
        run = lint(helm.CHART, *([path] if path.parent.name == "values" else [PRODUCTION, path]))
        assert run.returncode == 0, (path.name, run.stdout)


@pytest.mark.parametrize("path", sorted(helm.CHART.rglob("Chart.yaml")), ids=lambda path: path.parent.name)
def test_a_chart_file_has_fields_of_chart_files_only(path: Path) -> None:
    chart = yaml.safe_load(path.read_text())
    assert {"apiVersion", "name", "version"} <= chart.keys()
    assert {name: type(value) for name, value in chart.items()}.items() <= FIELDS.items()
    assert all(one.keys() <= FIELDS_OF_DEPENDENCIES for one in chart.get("dependencies", []))


def test_chart_testing_gets_values_of_the_repository() -> None:
    given = {path.name: path.resolve().relative_to(ROOT.resolve()) for path in (helm.CHART / "ci").iterdir()}
    assert given == {f"{name}-values.yaml": Path(f"values/{name}.yaml") for name in ("development", "testing")}


def test_chart_testing_looks_at_maintainers_where_the_chart_names_some() -> None:
    chart, settings = (yaml.safe_load(path.read_text()) for path in (helm.CHART / "Chart.yaml", ROOT / "ct.yaml"))
    assert settings["validate-maintainers"] is ("maintainers" in chart)


def test_the_version_is_above_the_release_before() -> None:
    version, before = (tuple(map(int, one.split("."))) for one in (release.version(), previous.read().version))
    assert version > before


def test_a_kubernetes_that_is_too_old_is_refused() -> None:
    with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.32\.0-0 .* v1\.31\.9"):
        helm.template("--kube-version", "1.31.9")
    assert helm.template("--kube-version", "1.32.0-gke.1")


def test_the_packaged_chart_renders_the_same_without_fetching_anything(tmp_path: Path) -> None:
    command = [str(tools.path("helm")), "package", str(helm.CHART), "--destination", str(tmp_path)]
    subprocess.run(command, capture_output=True, check=True)
    [package] = tmp_path.iterdir()
    assert helm.template("--values", str(TESTING), chart=package) == helm.render_text(TESTING)


def test_rendering_takes_less_than_a_second_of_this_machines_time() -> None:
    """By the processor's clock, in which what else runs here does not count."""

    def used_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    for values in (TESTING, PRODUCTION):
        before_s = used_s()
        helm.template("--values", str(values))
        assert 0 < used_s() - before_s <= 1, values.stem


def test_every_subchart_is_a_dependency_and_comes_with_the_chart() -> None:
    chart = yaml.safe_load((helm.CHART / "Chart.yaml").read_text())
    names = {dependency["name"] for dependency in chart["dependencies"]}
    assert names == {path.name for path in (helm.CHART / "charts").iterdir()}
    assert not any("repository" in dependency for dependency in chart["dependencies"])
