"""The chart's README shows every value of values.yaml with its comment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ci import values_table

EXAMPLE = """\
part:
  # Pods.
  # At least one.
  replicas: 2
  resources: {}
"""


@pytest.fixture
def chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the chart's README and values that a test may change."""
    for name in ("README", "VALUES"):
        copy = Path(shutil.copy(getattr(values_table, name), tmp_path))
        monkeypatch.setattr(values_table, name, copy)
    monkeypatch.setattr(values_table, "ROOT", tmp_path)
    return tmp_path


def test_the_readme_shows_the_values_of_today() -> None:
    assert values_table.outdated() == []


def test_lint_names_what_is_to_be_run_when_a_value_has_changed(chart: Path) -> None:
    values = chart / "values.yaml"
    values.write_text(values.read_text().replace("partitions: 64", "partitions: 65"))
    assert values_table.outdated() == ["README.md shows other values: run `python -m ci.values_table`"]
    (chart / "README.md").write_text(values_table.replaced((chart / "README.md").read_text()))
    assert values_table.outdated() == []


def test_lint_names_a_value_that_nothing_is_said_about(chart: Path) -> None:
    with (chart / "values.yaml").open("a") as file:
        file.write("silent: 1\n")
    assert values_table.outdated() == ["values.yaml says nothing about silent"]


def test_the_table_takes_each_value_with_its_comment() -> None:
    text = EXAMPLE.replace("  resources", "  # CPU.\n  resources")
    assert values_table.table(text).splitlines()[2:] == [
        "| `part.replicas` | `2` | Pods. At least one. |",
        "| `part.resources` | `{}` | CPU. |",
    ]


def test_a_value_without_a_comment_is_found() -> None:
    with pytest.raises(ValueError, match=r"values.yaml says nothing about part.resources"):
        values_table.table(EXAMPLE)
