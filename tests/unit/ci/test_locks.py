"""The locks fit what they were made from, and agree with each other."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ci import locks

NAMES = sorted(locks.locks(locks.RUNTIME))


def versions(name: str) -> dict[str, str]:
    text = (locks.RUNTIME / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A copy of the runtime's dependencies that a test may change."""
    shutil.copy(locks.RUNTIME / "pyproject.toml", tmp_path)
    shutil.copytree(locks.RUNTIME / "requirements", tmp_path / "requirements")
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_locks_of_this_repository_fit() -> None:
    assert locks.outdated() == []


@pytest.mark.parametrize(
    ("changed", "misfits"),
    [
        pytest.param('"msgspec>=0.20"', {"development", "api", "actor-system"}, id="always"),
        pytest.param('"asyncpg>=0.30"', {"development", "actor-system"}, id="extra"),
        pytest.param('"pytest>=8.4"', {"development"}, id="group"),
        pytest.param('"hatchling>=1.27"', {"build"}, id="build"),
    ],
)
def test_a_changed_dependency_is_noticed_where_it_counts(runtime: Path, changed: str, misfits: set[str]) -> None:
    replace(runtime / "pyproject.toml", changed, changed.replace(">=", ">"))
    complaints = locks.outdated(runtime)
    assert len(complaints) == len(misfits)
    assert all(any(f"/{name}.txt" in complaint for complaint in complaints) for name in misfits)


def test_what_is_no_dependency_may_change(runtime: Path) -> None:
    replace(runtime / "pyproject.toml", "line-length = 120", "line-length = 100")
    assert locks.outdated(runtime) == []


def test_a_missing_lock_is_noticed(runtime: Path) -> None:
    (runtime / "requirements" / "nats.txt").unlink()
    [complaint] = locks.outdated(runtime)
    assert "requirements/nats.txt" in complaint


@pytest.mark.parametrize("name", sorted({*NAMES} - {"build", locks.CHECKOV}))
def test_images_run_the_versions_that_tests_run(name: str) -> None:
    assert versions(name).items() <= versions(locks.DEVELOPMENT).items()


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_names_hashes_but_no_place(name: str) -> None:
    text = (locks.RUNTIME / "requirements" / f"{name}.txt").read_text()
    assert text.count("--hash=sha256:") >= len(versions(name)) > 0
    assert "://" not in text


def test_the_gateway_has_no_ray_and_no_database() -> None:
    assert not {"ray", "asyncpg"} & versions("api").keys()
