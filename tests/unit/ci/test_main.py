"""`python -m ci` as whoever has just cloned the repository types it."""

from __future__ import annotations

import subprocess
import sys

from ci.folders import ROOT


def test_a_python_without_the_locked_packages_is_told_where_they_are_in_one_line() -> None:
    command = (sys.executable, "-S", "-m", "ci", "--help")  # -S: without installed packages
    told = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert told.stderr.startswith("No module named ")
    assert told.stderr.endswith("`.venv/bin/python -m ci`\n")
