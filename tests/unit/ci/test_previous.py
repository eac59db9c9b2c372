"""The release before this one, as the upgrade test finds it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import iot_system
import pytest

from ci import git, previous

PINNED = previous.read()


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing is known of earlier calls, nor afterwards of these."""
    previous.tree.cache_clear()
    yield
    previous.tree.cache_clear()


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def test_it_is_older_than_this_version() -> None:
    assert numbers(PINNED.version) < numbers(iot_system.__version__)


def test_its_chart_is_of_that_version_and_names_images_of_its_own(previous_tree: Path) -> None:
    charts = list((previous_tree / previous.CHART).rglob("Chart.yaml"))
    assert len(charts) == 6
    for chart in charts:
        assert re.findall(r"^version: (.*)$", chart.read_text(), re.MULTILINE) == [PINNED.version]
        assert re.findall(r'^appVersion: "(.*)"$', chart.read_text(), re.MULTILINE) == [PINNED.tag]
    assert PINNED.tag.startswith(f"{PINNED.version}-")


def test_a_clone_without_its_history_is_told_what_to_fetch(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.setattr(git, "ROOT", tmp_path)
    with pytest.raises(previous.PreviousError, match=r"release .* is not in this clone: fetch .* --unshallow"):
        previous.tree()


@pytest.mark.parametrize("text", ['version = "1.0.0"', 'version = "1.0.0"\ncommit = "c98dd36"', 'commit = "{}"'])
def test_a_file_that_names_no_release_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "previous.toml"
    file.write_text(text.format("c" * 40))
    with pytest.raises(previous.PreviousError, match=r"previous.toml must have a version and a commit"):
        previous.read(file)
