"""The plugin as others have it: in an environment that has nothing else, testing the small chart of tests/data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness.helm import ROOT

PLUGIN = ROOT / "tests" / "harness"
NOTES = ROOT / "tests" / "data" / "notes"
TESTS_S = 480


def environment(folder: Path) -> Path:
    """The Python of such an environment, made in ``folder``; skips where what the plugin needs cannot be had."""
    uv: tuple[str | Path, ...] = (sys.executable, "-m", "uv", "--quiet")
    python = folder / "environment" / "bin" / "python"
    subprocess.run([*uv, "venv", "--python", sys.executable, python.parents[1]], check=True)
    install = (*uv, "pip", "install", "--python", python, PLUGIN)
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"what the plugin needs cannot be had: {done.stderr.strip().splitlines()[-1]}")
    return python


def copy(folder: Path) -> Path:
    """The chart and its tests, outside of this repository."""
    return Path(shutil.copytree(NOTES, folder / "notes"))


def run_tests(
    python: Path, folder: Path, helm: str, *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Of the chart in ``folder``: pytest's exit code, and what it prints."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KUBECONFIG")}
    command: tuple[str | Path, ...] = (python, "-m", "pytest", f"--helm={helm}", *arguments)
    run = subprocess.run(
        command, cwd=folder, env={**kept, **(env or {})}, capture_output=True, text=True, timeout=TESTS_S, check=False
    )
    return run.returncode, run.stdout + run.stderr
