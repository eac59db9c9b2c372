"""The table of reliability: percentiles are measured values, and only enough of them are held against a limit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ci.check import CONFIG
from ci.folders import ROOT
from tests.harness.figures import LEAST_ROUNDS, Figures, Kept, Row, percentile, read

LIMITS = {"pod": {"mqtt_s": 2.0}}


def row(number: int, mqtt_s: float) -> Row:
    return Row(
        fault="pod",
        round=number,
        mqtt_s=mqtt_s,
        rest_s=0.5,
        visible_s=9.0,
        ready_s=4.0,
        refused=1,
        load=1.5,
        began_s=0.0,
        moments=(),
    )


@pytest.mark.parametrize(("percent", "expected"), [(50, 5.0), (95, 10.0), (100, 10.0), (10, 1.0)])
def test_a_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(10, 0, -1)], percent) == expected


def test_of_ten_rounds_each_counts_for_the_limit() -> None:
    figures = Figures(LIMITS)
    for number in range(LEAST_ROUNDS - 1):
        figures.add(row(number, 1.0))
    figures.add(row(LEAST_ROUNDS, 2.5))
    assert figures.beyond() == ["pod: MQTT waits 2.5 s, the limit is 2 s"]


def test_few_rounds_are_held_against_no_limit() -> None:
    figures = Figures(LIMITS)
    for number in range(LEAST_ROUNDS - 1):
        figures.add(row(number, 100.0))
    assert figures.beyond() == []


@pytest.mark.parametrize("rounds", [LEAST_ROUNDS - 1, LEAST_ROUNDS])
def test_limits_are_tested_of_enough_rounds_alone(rounds: int) -> None:
    command = (sys.executable, "-m", "pytest", "-c", CONFIG, f"--rootdir={ROOT}", "--collect-only", "-q", "-n", "0")
    run = subprocess.run(
        [*command, f"--rounds={rounds}", "tests/cluster/test_faults.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"round-{rounds}]" in run.stdout
    assert ("test_no_fault_costs_more_than_it_may" in run.stdout) == (rounds >= LEAST_ROUNDS)


def test_the_table_names_what_is_limited() -> None:
    figures = Figures(LIMITS)
    figures.add(row(1, 1.0))
    figures.add(row(2, 1.25))
    figures.add(Kept(round=1, is_whole=True, acknowledged=1500, lost=1, doubled=2, seconds={}))
    assert figures.lines()[2:] == [
        "| pod | 2 | 1.0 / 1.2 / 1.2 (≤ 2) | 0.5 / 0.5 / 0.5 | 9.0 / 9.0 / 9.0 | 4.0 / 4.0 / 4.0 | 2 |",
        "1,500 readings acknowledged: 1 lost, 2 doubled",
    ]


def test_what_was_measured_is_in_the_file_before_the_next_fault(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    figures = Figures(LIMITS, file)
    figures.add(row(1, 1.0))
    assert [one["mqtt_s"] for one in json.loads(file.read_text())["rows"]] == [1.0]
    figures.add(row(2, 3.0))
    assert [one["mqtt_s"] for one in json.loads(file.read_text())["rows"]] == [1.0, 3.0]


def kept(number: int, *, is_whole: bool = True) -> Kept:
    return Kept(round=number, is_whole=is_whole, acknowledged=10, lost=0, doubled=0, seconds={0: {"MQTT": 5}})


def test_a_run_goes_on_from_the_rounds_that_came_to_their_end(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    first = Figures(LIMITS, file)
    for one in (row(1, 1.0), kept(1), row(2, 2.0), kept(2, is_whole=False), row(3, 3.0)):
        first.add(one)
    second = Figures(LIMITS, file)
    assert [second.has(number) for number in (1, 2, 3)] == [True, False, False]
    assert second.rows == [row(1, 1.0)]
    second.add(row(2, 4.0))
    assert [one.mqtt_s for one in read(file).rows] == [1.0, 4.0]
