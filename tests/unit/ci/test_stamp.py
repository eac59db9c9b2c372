"""Stamps: the same ingredients, the same stamp; a folder that is there is complete."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ci import stamp
from ci.errors import CiError


def tree(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_the_same_contents_give_the_same_stamp_wherever_they_are(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "one", a="1", b="2"), tree(tmp_path / "other", b="2", a="1")
    assert stamp.of("text", one) == stamp.of("text", other)


def test_each_ingredient_counts(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", a="1", b="2")
    others = [
        stamp.of("text", tree(tmp_path / "content", a="1", b="3")),
        stamp.of("text", tree(tmp_path / "name", a="1", c="2")),
        stamp.of("text", tree(tmp_path / "moved", a="12", b="")),
        stamp.of("other", base),
        stamp.of("te", "xt", base),
        stamp.of("text", base / "a", base / "b", "more"),
    ]
    assert len({stamp.of("text", base), *others}) == 1 + len(others)


def test_bytecode_does_not_count(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", a="1")
    before = stamp.of(base)
    tree(base / "__pycache__", compiled="x")
    assert stamp.of(base) == before


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "thing-1"
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        tree(folder, file="x")

    assert stamp.folder(target, make) == target
    assert stamp.folder(target, make) == target
    assert len(made) == 1
    assert (target / "file").read_text() == "x"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        tree(folder, half="x")
        raise CiError("no more")

    with pytest.raises(CiError, match="no more"):
        stamp.folder(tmp_path / "thing", make)
    assert list(tmp_path.iterdir()) == []


def test_two_that_make_the_same_folder_both_get_it(tmp_path: Path) -> None:
    target = tmp_path / "thing"
    both_there = threading.Barrier(2, timeout=10)
    got: list[Path] = []

    def make(folder: Path) -> None:
        tree(folder, file="x")
        both_there.wait()

    threads = [threading.Thread(target=lambda: got.append(stamp.folder(target, make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert got == [target, target]
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]
