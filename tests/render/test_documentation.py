"""What users read after an installation."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.harness import helm
from tests.render.rendered import DEVELOPMENT, TESTING


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
