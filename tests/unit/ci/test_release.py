"""A release: what keeps a commit from being one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci import git, release

VERSION = "1.2.3"
FILES = {
    release.PROGRAM: f'__version__ = "{VERSION}"\n',
    release.CHART / "Chart.yaml": f'name: a\nversion: {VERSION}\nappVersion: "{VERSION}"\n',
    release.CHART / "charts" / "b" / "Chart.yaml": f'name: b\nversion: {VERSION}\nappVersion: "{VERSION}"\n',
    Path("CHANGELOG.md"): f"# Changelog\n\n## [Unreleased]\n\n## [{VERSION}] - 2026-11-26\n",
    Path("UPGRADING.md"): f"# Upgrading\n\n## To {VERSION}\n",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean one, of a commit that is a release."""
    for module in (git, release):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "somebody@example.org")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    commit(tmp_path, {})
    return tmp_path


def commit(checkout: Path, changed: dict[Path, str]) -> None:
    for path, text in (FILES | changed).items():
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(text)
    git.call("add", "--all")
    git.call("commit", "--quiet", "--message", "a change")


def test_a_commit_with_everything_is_a_release(checkout: Path) -> None:
    assert release.version(checkout) == VERSION
    assert release.unfinished(checkout) == []
    assert release.disagreements(checkout) == []


def test_a_release_that_is_tagged_can_be_made_again(checkout: Path) -> None:
    git.call("tag", f"v{VERSION}")
    assert release.unfinished(checkout) == []


def test_what_is_not_committed_is_no_release(checkout: Path) -> None:
    (checkout / "more").touch()
    assert release.unfinished(checkout) == ["the working tree has changes that are not committed"]


def test_a_version_is_released_once(checkout: Path) -> None:
    git.call("tag", f"v{VERSION}")
    commit(checkout, {Path("more"): ""})
    assert release.unfinished(checkout) == [f"v{VERSION} is another commit: raise the version"]


@pytest.mark.parametrize("name", ["CHANGELOG.md", "UPGRADING.md"])
def test_a_release_says_what_is_new_and_what_to_do(checkout: Path, name: str) -> None:
    commit(checkout, {Path(name): "## [Unreleased]\n"})
    (reason,) = release.unfinished(checkout)
    assert reason.startswith(f"{name} has no section")
    assert VERSION in reason


@pytest.mark.parametrize("key", ["version", "appVersion"])
def test_a_chart_of_another_version_is_named(checkout: Path, key: str) -> None:
    chart = release.CHART / "charts" / "b" / "Chart.yaml"
    commit(checkout, {chart: FILES[chart].replace(f"\n{key}: ", f"\n{key}: 0.").replace('0."', '"0.')})
    assert release.disagreements(checkout) == [f"{chart} has {key} 0.{VERSION}, not {VERSION}"]


def test_a_chart_that_changes_after_its_release_needs_another_version(checkout: Path) -> None:
    template = release.CHART / "templates" / "a.yaml"
    commit(checkout, {template: "a\n"})
    assert release.unraised() == []
    git.call("tag", "v1.2.2")
    git.call("tag", f"v{VERSION}")
    commit(checkout, {Path("more"): "", template: "a\n"})
    assert release.unraised() == []
    (checkout / template).write_text("b\n")
    told = f"{release.CHART} is another one than that of v{VERSION}, and has its version: raise it"
    assert release.unraised() == [told]
    commit(checkout, {template: "b\n"})
    assert release.unraised() == [told]
    (checkout / release.PROGRAM).write_text('__version__ = "1.3.0"\n')
    assert release.unraised() == []


def test_a_commit_that_is_none_is_told_every_reason(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "unfinished", lambda: ["one"])
    monkeypatch.setattr(release, "disagreements", lambda: ["two"])
    with pytest.raises(release.ReleaseError, match="one; two"):
        release.make()
