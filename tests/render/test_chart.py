"""The chart as a package."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pytest
import yaml

from ci import tools
from tests.harness import helm
from tests.render.rendered import DEVELOPMENT, PRODUCTION, TESTING


@pytest.mark.parametrize("values", [DEVELOPMENT, TESTING, PRODUCTION], ids=lambda path: path.stem)
def test_helm_finds_nothing_to_complain_about(values: Path) -> None:
    command = [str(tools.path("helm")), "lint", "--strict", "--kube-version", helm.KUBERNETES, str(helm.CHART)]
    run = subprocess.run([*command, "--values", str(values)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_a_kubernetes_that_is_too_old_is_refused() -> None:
    with pytest.raises(helm.HelmError, match=r"requires kubeVersion: >=1\.32\.0-0 .* v1\.31\.9"):
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
