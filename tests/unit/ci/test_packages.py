"""System packages: found by the system's own means, installed where that is allowed, else named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import packages
from ci.errors import NoClusterError

WANTED = {"alpha": "does one thing", "beta": "does another"}


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that is on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def debian(folder: Path, *installed: str) -> None:
    """A dpkg and an apt; what apt installs is there afterwards, and its calls stand in `log`."""
    status = folder / "installed"
    status.write_text("".join(f"{name}\n" for name in installed))
    found = f'while read name; do [ "$name" = "$3" ] && printf installed && exit; done < {status}\nexit 1'
    program(folder, "dpkg-query", found)
    program(folder, "apt-get", f'echo "$@" >> {folder}/log\nfor name; do echo "$name" >> {status}; done')


def test_debian_is_asked_for_packages_not_programs(bin_folder: Path) -> None:
    debian(bin_folder, "beta")
    program(bin_folder, "alpha", "")
    assert packages.missing(WANTED) == ["alpha"]


def test_other_systems_are_asked_for_the_program(bin_folder: Path) -> None:
    assert packages.missing(WANTED) == ["alpha"]
    program(bin_folder, "alpha", "")
    assert packages.missing(WANTED) == []


def test_root_installs_what_is_missing_and_says_why(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    debian(bin_folder, "beta")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    packages.require(WANTED)
    assert packages.missing(WANTED) == []
    assert "system package alpha: does one thing" in capsys.readouterr().out
    update, install = (bin_folder / "log").read_text().splitlines()
    assert update.startswith("update")
    assert install.split()[-1] == "alpha"
    packages.require(WANTED)
    assert len((bin_folder / "log").read_text().splitlines()) == 2


def test_others_are_told_the_command(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian(bin_folder)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NoClusterError, match="sudo apt-get install --no-install-recommends alpha beta"):
        packages.require(WANTED)
    assert not (bin_folder / "log").exists()


def test_an_installation_that_fails_leaves_no_cluster(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian(bin_folder)
    program(bin_folder, "apt-get", "echo no such package; exit 100")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(NoClusterError, match=r"cannot install alpha beta: [\s\S]*no such package"):
        packages.require(WANTED)


def test_without_apt_the_sentence_names_what_is_needed(bin_folder: Path) -> None:
    with pytest.raises(NoClusterError, match="a cluster needs alpha: install it"):
        packages.require(WANTED)
