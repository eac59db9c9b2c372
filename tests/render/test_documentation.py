"""What users read about the chart: the README's table and the notes after an installation."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.harness import helm, values_table
from tests.render.rendered import DEVELOPMENT, TESTING

EXAMPLE = """\
part:
  # Pods.
  # At least one.
  replicas: 2
  resources: {}
"""


def test_the_readme_shows_the_values_of_today() -> None:
    readme = values_table.README.read_text()
    assert readme == values_table.replaced(readme), "run: python -m tests.harness.values_table"


def test_the_table_takes_each_value_with_its_comment() -> None:
    text = EXAMPLE.replace("  resources", "  # CPU.\n  resources")
    assert values_table.table(text).splitlines()[2:] == [
        "| `part.replicas` | `2` | Pods. At least one. |",
        "| `part.resources` | `{}` | CPU. |",
    ]


def test_a_value_without_a_comment_is_found() -> None:
    with pytest.raises(ValueError, match=r"values.yaml says nothing about part.resources"):
        values_table.table(EXAMPLE)


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with its notes as one more manifest: `helm template` does not print notes."""
    copy = tmp_path_factory.mktemp("chart") / "iot-system"
    shutil.copytree(helm.CHART, copy)
    (copy / "templates" / "NOTES.txt").rename(copy / "NOTES.txt")
    (copy / "templates" / "notes.yaml").write_text('notes: {{ tpl (.Files.Get "NOTES.txt") . | toJson }}\n')
    return copy


def notes(chart: Path, values: Path) -> str:
    """What Helm prints after an installation."""
    text = helm.template("--values", str(values), "--show-only", "templates/notes.yaml", chart=chart)
    return str(yaml.safe_load(text)["notes"])


def test_the_notes_tell_the_next_three_commands_with_the_names_of_this_release(chart: Path) -> None:
    text = notes(chart, TESTING)
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2", "3"]
    assert "kubectl -n iot rollout status deployment/actor-system" in text
    assert "helm -n iot test iot" in text
    assert "kubectl -n iot port-forward service/api-service 8000 1883" in text
    assert "get secret api-credentials" in text
    assert "in memory" not in text
    assert "networkPolicy.rest" in text


def test_the_notes_warn_where_nothing_is_kept(chart: Path) -> None:
    assert "The database lives in memory" in notes(chart, DEVELOPMENT)
    assert "networkPolicy" not in notes(chart, DEVELOPMENT)
