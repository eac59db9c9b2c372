"""What pytest.ini and the command line say: the chart, its values files, the rules, the programs."""

from __future__ import annotations

import glob
import math
import os
import shutil
from pathlib import Path

import pytest

from chart_harness.errors import SettingError
from chart_harness.installation import READY_WITHIN_S
from chart_harness.rules import RULES, Rule

NO_CHART = "no chart is named: give --chart-path, or chart_path in pytest.ini"


def add_options(parser: pytest.Parser) -> None:
    """`--chart-path` and `--kubeconfig` are those of pytest-helm-charts."""
    group = parser.getgroup("chart-harness", "charts")
    group.addoption("--helm", default="helm", help="the program helm, from PATH by default")
    group.addoption("--kubectl", default="kubectl", help="the program kubectl, from PATH by default")
    group.addoption("--previous-chart", default=None, help="the chart that was released before: upgrades begin there")
    parser.addini("chart_path", "the chart's folder, for runs without --chart-path")
    help_values = "values files, patterns too; by default the chart's own and its ci/*-values.yaml"
    parser.addini("chart_values", help_values, type="linelist")
    parser.addini("chart_given", "objects that are in the cluster without the chart, as Kind/name", type="linelist")
    parser.addini("chart_rules_left_out", "rules that the fixture `rule` leaves out", type="args")
    parser.addini("chart_ready_s", "seconds within which a release must be ready", default=str(READY_WITHIN_S))


def chart_folder(config: pytest.Config) -> Path:
    """Where the chart is. Raises SettingError."""
    folder = _named_chart(config)
    if folder is None:
        raise SettingError(NO_CHART)
    return existing_chart(folder)


def existing_chart(folder: Path) -> Path:
    """The folder itself. Raises SettingError where it has no chart."""
    if not (folder / "Chart.yaml").is_file():
        raise SettingError(f"there is no chart in {folder}: it has no Chart.yaml")
    return folder


def values_files(config: pytest.Config) -> list[Path]:
    """All that tests are run for, none where no chart is named. Raises SettingError for one that is not there."""
    patterns: list[str] = config.getini("chart_values")
    chart = _named_chart(config)
    if chart is not None and not patterns:
        return [existing_chart(chart) / "values.yaml", *sorted(chart.glob("ci/*-values.yaml"))]
    folder, found = _beside_ini(config), []
    for pattern in patterns:
        matching = sorted(folder / one for one in glob.glob(pattern, root_dir=folder, recursive=True))
        if not matching:
            raise SettingError(f"chart_values names {pattern}, and there is no such file")
        found += matching
    return found


def rules(config: pytest.Config) -> dict[str, Rule]:
    """All but those that are left out. Raises SettingError for a name that is none."""
    left_out: list[str] = config.getini("chart_rules_left_out")
    if unknown := set(left_out) - RULES.keys():
        raise SettingError(f"there is no rule {', '.join(sorted(unknown))} to leave out, only {', '.join(RULES)}")
    return {name: rule for name, rule in RULES.items() if name not in left_out}


def ready_within_s(config: pytest.Config) -> float:
    """How long a release may take. Raises SettingError."""
    given: str = config.getini("chart_ready_s")
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise SettingError(f"chart_ready_s is {given!r}: it is a number of seconds above 0")
    return seconds


def program(config: pytest.Config, name: str) -> str:
    """The path of helm or kubectl. Raises SettingError."""
    given: str = config.getoption(name)
    found = shutil.which(given)
    if found is None:
        raise SettingError(f"there is no program {given}: install it, or say by --{name} where it is")
    return found


def kubeconfig(config: pytest.Config) -> Path:
    """The file that leads to the cluster. Raises SettingError."""
    given = config.getoption("kubeconfig") or os.environ.get("KUBECONFIG")
    if not given:
        raise SettingError("no cluster is named: give --kubeconfig, or KUBECONFIG in the environment")
    if not Path(given).is_file():
        raise SettingError(f"there is no kubeconfig {given}")
    return Path(given)


def _named_chart(config: pytest.Config) -> Path | None:
    given = config.getoption("chart_path") or os.environ.get("ATS_CHART_PATH")
    if given:
        return Path(given)
    folder: str = config.getini("chart_path")
    return _beside_ini(config) / folder if folder else None


def _beside_ini(config: pytest.Config) -> Path:
    return config.inipath.parent if config.inipath else config.rootpath
