"""The table of reliability: percentiles are measured values, and only enough of them are held against a limit."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from chart_harness.errors import SettingError

from ci.check import CONFIG
from ci.folders import ROOT
from tests.harness.figures import LEAST_ROUNDS, Figures, Kept, Row, percentile, read

LIMITS = {"pod": {"mqtt_s": 2.0}}


def row(number: int, mqtt_s: float, fault: str = "pod") -> Row:
    return Row(
        fault=fault,
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
    assert "test_nothing_was_wrong_in_any_round_of_the_file" in run.stdout
    assert ("test_no_fault_costs_more_than_it_may" in run.stdout) == (rounds >= LEAST_ROUNDS)


def test_the_table_names_what_is_limited() -> None:
    figures = Figures(LIMITS)
    figures.add(row(1, 1.0))
    figures.add(row(2, 1.25))
    figures.add(kept(1, acknowledged=1000, lost=1))
    figures.add(kept(2, acknowledged=500, doubled=2))
    assert figures.lines()[2:] == [
        "| pod | 2 | 1.0 / 1.2 / 1.2 (≤ 2) | 0.5 / 0.5 / 0.5 | 9.0 / 9.0 / 9.0 | 4.0 / 4.0 / 4.0 | 2 |",
        "1,500 readings acknowledged: 1 lost, 2 doubled, 0 late",
    ]


def test_what_was_measured_is_in_the_file_before_the_next_fault(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    figures = Figures(LIMITS, file)
    figures.add(row(1, 1.0))
    assert [one["mqtt_s"] for one in json.loads(file.read_text())["rows"]] == [1.0]
    figures.add(row(2, 3.0))
    assert [one["mqtt_s"] for one in json.loads(file.read_text())["rows"]] == [1.0, 3.0]


def kept(number: int, *faults: str, acknowledged: int = 10, lost: int = 0, doubled: int = 0, late: int = 0) -> Kept:
    findings = {"lost": lost, "doubled": doubled, "late": late}
    return Kept(number, faults or ("pod",), acknowledged, findings, seconds={0: {"MQTT": 5}})


def test_a_run_goes_on_from_the_rounds_that_came_to_their_end(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    first = Figures(LIMITS, file)
    for one in (row(1, 1.0), kept(1), row(2, 2.0)):
        first.add(one)
    second = Figures(LIMITS, file)
    assert [second.has(number, "pod") for number in (1, 2)] == [True, False]
    assert second.rows == [row(1, 1.0)]
    second.add(row(2, 4.0))
    assert [one.mqtt_s for one in read(file).rows] == [1.0, 4.0]


def test_a_fault_that_failed_is_struck_again_in_a_round_that_came_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    first = Figures(LIMITS, file)
    first.add(row(1, 1.0))
    first.add(kept(1, *first.struck(1)))
    second = Figures(LIMITS, file)
    assert [second.has(1, fault) for fault in ("pod", "node")] == [True, False]
    second.add(row(1, 3.0, "node"))
    assert second.struck(1) == ("node",)
    second.add(kept(1, *second.struck(1)))
    third = Figures(LIMITS, file)
    assert [third.has(1, fault) for fault in ("pod", "node")] == [True, True]
    assert third.rows == [row(1, 1.0), row(1, 3.0, "node")]
    assert third.lines()[-1].startswith("20 readings acknowledged: 0 lost")


@pytest.mark.parametrize("kind", ["lost", "doubled", "late"])
def test_what_was_wrong_in_a_round_stays_wrong_when_the_run_goes_on(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "figures.json"
    first = Figures(LIMITS, file)
    for one in (row(1, 1.0), kept(1), row(2, 1.0), kept(2, **{kind: 3})):
        first.add(one)
    second = Figures(LIMITS, file)
    (told,) = second.wrong()
    assert told.startswith("round 2, pod: ")
    assert f"3 {kind}" in told
    assert second.rows == [row(1, 1.0), row(2, 1.0)]


def test_of_a_subset_the_other_faults_are_missing_and_still_to_be_struck(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    limits = {**LIMITS, "node": {"mqtt_s": 60.0}, "dns": {}}
    subset = Figures(limits, file)
    for number in range(1, LEAST_ROUNDS + 1):
        subset.add(row(number, 1.0))
        subset.add(kept(number, *subset.struck(number)))
    assert subset.missing(["pod"]) == []
    every = Figures(limits, file)
    assert not any(every.has(number, "node") for number in range(1, LEAST_ROUNDS + 1))
    for number in range(1, LEAST_ROUNDS):
        every.add(row(number, 1.0, "node"))
    assert every.missing(["pod", "node", "dns"]) == ["node: 9 rounds of at least 10", "dns: 0 rounds of at least 10"]
    every.add(row(LEAST_ROUNDS, 1.0, "node"))
    assert every.missing(["pod", "node"]) == []


def test_a_file_that_is_half_written_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    figures = Figures(LIMITS, file)
    for one in (row(1, 1.0), kept(1)):
        figures.add(one)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, hard))  # as where a disk is full
    try:
        with pytest.raises(OSError, match="File too large"):
            figures.add(row(2, 2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(tmp_path.iterdir())) == 2
    assert Figures(LIMITS, file).rows == [row(1, 1.0)]


def test_a_file_of_something_else_and_one_without_a_folder_are_told_by_one_sentence(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[]")
    with pytest.raises(SettingError, match=r"other[.]json is no file of figures: Expected `object`, got `array`$"):
        Figures(LIMITS, other)
    with pytest.raises(SettingError, match=r"figures[.]json has no folder to lie in: there is no .*/nowhere$"):
        Figures(LIMITS, tmp_path / "nowhere" / "figures.json")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--faults=dns,postgres", "no fault is called postgres: postgres-switchover, "),
        ("--rounds=0", "argument --rounds: '0' is no whole number above 0"),
        ("--figures=/nowhere/it.json", "--figures: /nowhere/it.json has no folder to lie in"),
    ],
)
def test_what_a_run_of_faults_cannot_do_is_told_before_it_begins(option: str, sentence: str) -> None:
    command = (sys.executable, "-m", "pytest", "-c", CONFIG, f"--rootdir={ROOT}", "--collect-only", "-q", "-n", "0")
    run = subprocess.run(
        [*command, option, "tests/cluster/test_faults.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    said = run.stdout + run.stderr
    assert sentence in said
    assert not re.search("^E  |Traceback", said, re.MULTILINE), said
