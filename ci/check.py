"""Everything that is checked, in one place: what `make test` and CI run.

    python -m ci check [STAGE …] [-- ARGUMENTS FOR PYTEST]

All stages run, also after one has failed; the last lines say which did, which tests of it, and what was left out: a
stage, or tests that skipped themselves. Where CI is set, what was left out fails, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from ci import checkov, cluster, debian, engine, images, locks, packages, release, schemas, tools, values_table
from ci.errors import CiError, NoClusterError
from ci.folders import ROOT
from ci.go import NoGoError
from ci.progress import note

CONFIG = ROOT / "runtime" / "pyproject.toml"
YAML = ("values", "ct.yaml", "charts/iot-system/values.yaml", "charts/iot-system/Chart.yaml")
CORES = os.cpu_count() or 1
MOST_PROCESSES = 8
"""Of tests; more gain nothing, for each imports everything first."""
IN_PARALLEL = (f"--numprocesses={min(CORES, MOST_PROCESSES)}", "--dist=worksteal")
JUNIT = "--junitxml="
SLOWEST = ("--durations=15", "--durations-min=5")
"""Where the time has gone, said at the end of each run of pytest."""
NOTHING_CHOSEN = 5
"""Pytest's exit code."""
MOST_NAMED, MOST_SAID = 20, 240
"""Of failed tests in the last lines, and characters of the reason of each: all of it stands where the test ran."""


class Outcome(NamedTuple):
    """What is wrong, None where all is well; and which tests failed or were skipped, by name, with their reason."""

    wrong: str | None = None
    left_out: Sequence[str] = ()
    failed: Sequence[str] = ()


class Run(NamedTuple):
    """Of pytest: its exit code, what it skipped, and what failed."""

    code: int
    skipped: Sequence[str] = ()
    failed: Sequence[str] = ()


class Stage(NamedTuple):
    """A part of the checks."""

    name: str
    run: Callable[[Sequence[str]], Outcome]


def lint(_: Sequence[str]) -> Outcome:
    """Formatting, types, layers, the chart and its table of values, and the lock files."""
    python, kubernetes = sys.executable, ("--kube-version", max(schemas.VERSIONS))
    commands: dict[str, tuple[str | Path, ...]] = {
        "ruff check": (python, "-m", "ruff", "check", "--config", CONFIG, "."),
        "ruff format": (python, "-m", "ruff", "format", "--check", "--quiet", "--config", CONFIG, "."),
        "mypy": (python, "-m", "mypy", "--config-file", CONFIG, "runtime/src", "ci", "tests", "bench"),
        "import-linter": (Path(python).with_name("lint-imports"), CONFIG, "--no-logo"),
        "yamllint": (python, "-m", "yamllint", "--strict", "--config-file", "ci/yamllint.yaml", *YAML),
        "helm lint": (tools.path("helm"), "lint", "--strict", "--quiet", *kubernetes, "charts/iot-system"),
    }
    failed = [f"{name} complains" for name, command in commands.items() if not _passes(*command)]
    failed += locks.outdated() + debian.outdated() + values_table.outdated()
    failed += release.disagreements() + release.unraised()
    return Outcome("; ".join(failed) or None)


def pytest(folder: str, *options: str) -> Callable[[Sequence[str]], Outcome]:
    """The stage that runs the tests of one folder."""

    def run(arguments: Sequence[str]) -> Outcome:
        return outcome(folder, [_pytest(folder, *options, *arguments)])

    return run


def outcome(folder: str, runs: Sequence[Run]) -> Outcome:
    """Of the parts of a folder; a part may have nothing to run, but not all of them."""
    codes = [run.code for run in runs if run.code != NOTHING_CHOSEN]
    wrong = None if codes and not any(codes) else f"tests in {folder} failed"
    return Outcome(wrong, [test for run in runs for test in run.skipped], [test for run in runs for test in run.failed])


def read(report: Path, *marks: str) -> list[str]:
    """Tests that a JUnit report of pytest marks so, with the reason's first line; none where it was not written."""
    if not report.exists():
        return []
    cases = ElementTree.parse(report).iter("testcase")
    found = ((case, mark) for case in cases for mark in map(case.find, marks) if mark is not None)
    return [f"{case.get('classname')}::{case.get('name')}: {_reason(mark)}" for case, mark in found]


def prepare(what: str, get: Callable[[], object]) -> None:
    """Have what takes long before the tests that need it, which have 300 s each; they say what cannot be had."""
    try:
        get()
    except CiError as lacking:
        note(f"{what} cannot be had: {lacking}")


def prepare_packages(installed: object, wanted: Mapping[str, str], what: str) -> None:
    """The same of system packages, unless what they bring is installed."""
    lacking = None if installed else packages.install(wanted, what)
    if lacking:
        note(f"its tests are skipped: {lacking}")


def with_servers(arguments: Sequence[str]) -> Outcome:
    """The contract tests; where the programs of some are missing and may not be installed, it says that these skip."""
    prepare_packages(shutil.which("mosquitto_pub"), packages.MQTT_CLIENTS, "a second MQTT client")
    prepare_packages(packages.postgres(), packages.POSTGRES, "a Postgres by TLS")
    folder = "tests/contract"
    # They wait more than they compute.
    parts = {"not heavy": 2 * CORES, "heavy": CORES}
    runs = [
        # A module's servers are those of one process.
        _pytest(folder, "-m", kind, f"--numprocesses={min(processes, MOST_PROCESSES)}", "--dist=loadfile", *arguments)
        for kind, processes in parts.items()
    ]
    return outcome(folder, runs)


def of_chart(arguments: Sequence[str]) -> Outcome:
    """The tests of the rendered chart, and of its package."""
    prepare_packages(shutil.which("gpg"), packages.SIGNATURES, "a signature")
    prepare_packages(packages.postgres(), packages.POSTGRES, "a Postgres by TLS")
    for program in ("kube-score", "registry"):
        prepare(program, partial(tools.path, program))
    prepare("checkov", checkov.folder)
    return pytest("tests/render", *IN_PARALLEL)(arguments)


def of_images(arguments: Sequence[str]) -> Outcome:
    """The tests of the images as they were built; raises NoClusterError where this machine can build none."""
    images.build(engine.find())
    for program in ("cosign", "registry"):
        prepare(program, partial(tools.path, program))
    return pytest("tests/images")(arguments)


def in_cluster(arguments: Sequence[str]) -> Outcome:
    """The cluster tests; raises NoClusterError where this machine can have none."""
    if not any(argument.startswith(("--kubeconfig", "--cluster-type")) for argument in arguments):
        try:
            # Here, not in the tests alone: what is lacking must count as tests that were not run.
            images.load(cluster.ensure())
        except NoGoError as lacking:
            raise NoClusterError(str(lacking)) from lacking
        for program in ("versitygw", "ray-operator"):
            prepare(program, partial(tools.path, program))
    return pytest("tests/cluster")(arguments)


STAGES = (
    Stage("lint", lint),
    Stage("unit", pytest("tests/unit", *IN_PARALLEL)),
    Stage("simulation", pytest("tests/simulation", *IN_PARALLEL)),
    Stage("contract", with_servers),
    Stage("render", of_chart),
    Stage("images", of_images),
    Stage("cluster", in_cluster),
)


def main(names: Sequence[str], arguments: Sequence[str]) -> int:
    """Run the stages of these names, or all; returns the exit code. Raises CiError for a name that is none."""
    unknown = set(names) - {stage.name for stage in STAGES}
    if unknown:
        raise CiError(f"no stage is called {', '.join(sorted(unknown))}: {', '.join(stage.name for stage in STAGES)}")
    chosen = [stage for stage in STAGES if not names or stage.name in names]
    wrong: list[str] = []
    left_out: list[str] = []
    for stage in chosen:
        note(f"{stage.name}: begins")
        began_s = time.monotonic()
        try:
            outcome = stage.run(arguments)
        except NoClusterError as error:
            left_out.append(f"left out: {stage.name} tests were not run: {error}")
            continue
        except CiError as error:
            outcome = Outcome(str(error))
        note(f"{stage.name}: {outcome.wrong or 'passed'}  {time.monotonic() - began_s:.0f} s")
        if outcome.wrong:
            wrong.append(f"{stage.name}: {outcome.wrong}")
            wrong += (f"failed: {test}" for test in outcome.failed[:MOST_NAMED])
            if len(outcome.failed) > MOST_NAMED:
                wrong.append(f"failed: {len(outcome.failed) - MOST_NAMED} more tests of {stage.name}")
        left_out += (f"left out: {test}" for test in outcome.left_out)
    # What was left out is the last thing said. CI must not pass without it.
    for line in [*wrong, *left_out]:
        print(line, flush=True)
    if not wrong and not left_out:
        print(f"{', '.join(stage.name for stage in chosen)}: all passed", flush=True)
    return 1 if wrong or (left_out and os.environ.get("CI")) else 0


def _pytest(*arguments: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        own = [argument.removeprefix(JUNIT) for argument in arguments if argument.startswith(JUNIT)]
        report = ROOT / [f"{folder}/report.xml", *own][-1]
        base = (sys.executable, "-m", "pytest", "-c", CONFIG, f"--rootdir={ROOT}", "-q", f"{JUNIT}{report}")
        code = _code(*base, *SLOWEST, *arguments)
        return Run(code, read(report, "skipped[@type='pytest.skip']"), read(report, "failure", "error"))


def _reason(mark: ElementTree.Element) -> str:
    return mark.get("message", "").partition("\n")[0][:MOST_SAID]


def _passes(*command: str | Path) -> bool:
    return _code(*command) == 0


def _code(*command: str | Path) -> int:
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
