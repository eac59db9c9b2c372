"""Locks of Debian packages: they fit the lists that they were made from, and name one file for each architecture."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from ci import debian
from ci.debian import Lock

SHOWN = """\
Package: zlib1g
Version: 1:1.3.dfsg-1
Architecture: amd64
Description: compression library: runtime
 Version: none of this line's business
SHA256: aa

Package: netbase
Version: 6.5
Architecture: all
SHA256: bb

Package: netbase
Version: 6.5
Architecture: all
SHA256: bb
"""
LINE = re.compile(r"[0-9a-f]{64}  ([a-z0-9.+-]+)_([0-9][^_/]*)_(all|amd64|arm64)\.deb")


def test_the_locks_of_this_repository_fit() -> None:
    assert debian.outdated() == []


def test_another_list_of_packages_is_noticed(tmp_path: Path) -> None:
    path, lock = tmp_path / "some.debian", Lock(["bash"], ["tar"])
    assert debian.outdated({path: lock})
    path.write_text(debian.header(lock))
    assert not debian.outdated({path: lock})
    for other in (Lock(["dash"], ["tar"]), Lock(["bash"], []), Lock(["bash", "tar"], [])):
        assert debian.outdated({path: other})


def test_a_line_is_made_of_each_package_that_apt_shows() -> None:
    assert debian.lines(SHOWN) == ["bb  netbase_6.5_all.deb\n", "aa  zlib1g_1%3a1.3.dfsg-1_amd64.deb\n"]


@pytest.mark.parametrize("path", debian.LOCKS, ids=lambda path: path.name)
def test_a_lock_names_each_package_once_for_each_architecture(path: Path) -> None:
    found = [LINE.fullmatch(line) for line in path.read_text().splitlines()[1:]]
    assert found
    times: Counter[str] = Counter()
    for line in found:
        assert line
        name, _, architecture = line.groups()
        times.update([name] if architecture != "all" else [name] * len(debian.ARCHITECTURES))
    assert set(times.values()) == {len(debian.ARCHITECTURES)}


@pytest.mark.parametrize("path", debian.LOCKS, ids=lambda path: path.name)
def test_a_lock_has_what_was_asked_for_and_not_what_is_done_without(path: Path) -> None:
    names = {line.split()[1].partition("_")[0] for line in path.read_text().splitlines()[1:]}
    assert set(debian.LOCKS[path].names) <= names
    assert not set(debian.LOCKS[path].without) & names
