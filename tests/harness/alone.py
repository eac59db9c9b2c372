"""The plugin as others have it: in an environment that has nothing else, testing the small chart of tests/data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness.helm import ROOT

PLUGIN = ROOT / "tests" / "harness"
NOTES = ROOT / "tests" / "data" / "notes"
INSTALL_S = 300
TESTS_S = 480
GONE_WITHIN_S = 120
"""Within which tests that are interrupted take away what they have in a cluster."""


def environment(folder: Path) -> Path:
    """The Python of such an environment, made in ``folder``; skips where what the plugin needs cannot be had.

    Raises CalledProcessError where the plugin itself cannot be installed.
    """
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    uv: tuple[str | Path, ...] = (sys.executable, "-m", "uv", "--quiet")
    python = folder / "environment" / "bin" / "python"
    subprocess.run([*uv, "venv", "--python", sys.executable, python.parents[1]], check=True, timeout=INSTALL_S)
    install = (*uv, "pip", "install", "--python", python)
    try:
        done = subprocess.run([*install, *needed], capture_output=True, text=True, check=False, timeout=INSTALL_S)
    except subprocess.TimeoutExpired as late:
        pytest.skip(f"what the plugin needs cannot be had: {late}")
    if done.returncode:
        pytest.skip(f"what the plugin needs cannot be had: {done.stderr.strip().splitlines()[-1]}")
    subprocess.run([*install, "--no-deps", "--no-build-isolation", PLUGIN], check=True, timeout=INSTALL_S)
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
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, env={**kept, **(env or {})}, stdout=pipe, stderr=pipe, text=True
    ) as tests:
        said = finished(tests, TESTS_S)
        return tests.returncode, said


def finished(tests: subprocess.Popen[str], within_s: float) -> str:
    """What they print, at their end. Raises TimeoutExpired where that is late, once they are interrupted and gone."""
    try:
        return "".join(tests.communicate(timeout=within_s))
    except BaseException as error:
        # Killed, they would leave namespaces and ways into pods.
        tests.send_signal(signal.SIGINT)
        try:
            said = tests.communicate(timeout=GONE_WITHIN_S)
        except subprocess.TimeoutExpired:
            tests.kill()
            said = tests.communicate()
        error.add_note("".join(said))
        raise
