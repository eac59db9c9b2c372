"""The ledger that the plugin's documentation shows, against the small chart's server: does it find what was lost?"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chart_harness.loopback import free_port
from chart_harness.waiting import wait_until

NOTES = Path(__file__).parents[1] / "data" / "notes"
TOKEN = "of-these-tests"
KEEPS = "written.rename(path)"
FORGETS = "written.unlink()"
MIXES_UP = 'path.write_bytes(b"something else")'


def ledger_of(way: Any) -> Any:
    """As its fixture `ledger` makes it, of what it asks an installation for."""
    spec = importlib.util.spec_from_file_location("notes_conftest", NOTES / "tests" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    namespace = SimpleNamespace(secret=lambda *_: TOKEN)
    return module.Notes(SimpleNamespace(forward=lambda *_: way, namespace=namespace, release="release"))


@contextmanager
def serving(folder: Path, keeps: str) -> Iterator[Any]:
    """The way to the chart's server, which does this with a note."""
    port, source = free_port(), (NOTES / "chart" / "files" / "server.py").read_text()
    for old, new in ((KEEPS, keeps), ('"/data"', repr(str(folder))), ('("", 8080)', f'("127.0.0.1", {port})')):
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    with subprocess.Popen(
        [sys.executable, "-c", source], env={**os.environ, "NOTES_TOKEN": TOKEN}, stderr=subprocess.DEVNULL
    ) as server:
        try:
            yield SimpleNamespace(url=lambda _: f"http://127.0.0.1:{port}")
        finally:
            server.kill()


@contextmanager
def begun(folder: Path, keeps: str) -> Iterator[Any]:
    """A ledger that writes, over such a server."""
    with serving(folder, keeps) as way:
        ledger = ledger_of(way)
        try:
            ledger.begin()
            yield ledger
        finally:
            ledger.stop()


def test_nothing_is_lost_where_every_note_is_kept(tmp_path: Path) -> None:
    with begun(tmp_path, KEEPS) as ledger:
        ledger.check()


@pytest.mark.parametrize("defect", [FORGETS, MIXES_UP])
def test_a_note_that_was_acknowledged_and_is_not_there_is_named(tmp_path: Path, defect: str) -> None:
    with begun(tmp_path, defect) as ledger, pytest.raises(AssertionError, match=r"acknowledged and lost: .*'note-\d+'"):
        ledger.check()


def test_nobody_writes_once_it_is_stopped(tmp_path: Path) -> None:
    with begun(tmp_path, KEEPS) as ledger:
        ledger.stop()
        number = len([*tmp_path.iterdir()])
        assert number
        with pytest.raises(AssertionError, match="another note"):
            wait_until(lambda: len([*tmp_path.iterdir()]) > number, within_s=0.3, why="another note")
