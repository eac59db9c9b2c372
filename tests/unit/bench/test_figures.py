"""The benchmark's own arithmetic, and what it says of it."""

from __future__ import annotations

import pytest

from bench import figures, usage
from bench.figures import Run, Spread


def run(side: str, round_: int, readings: int, seconds: float, **cpu_s: float) -> Run:
    return Run(side, round_, readings, seconds, seconds, cpu_s, 0.0)


RUNS = [
    run("fast", 0, 1000, 1.0, api=0.5, client=0.1),
    run("slow", 0, 100, 1.0),
    run("slow", 1, 100, 2.0),
    run("fast", 1, 1000, 2.0, api=0.5),
    run("fast", 2, 3000, 1.0, api=1.0),
    run("slow", 2, 100, 0.5),
]


def test_a_rate_counts_readings_per_second() -> None:
    assert figures.rates(RUNS, "fast") == Spread(median=1000, low=500, high=3000)


def test_ratios_compare_sides_of_the_same_round_whatever_their_order_and_number_of_messages() -> None:
    assert figures.ratios(RUNS, "fast", "slow") == Spread(median=10, low=10, high=15)
    assert figures.ratios(RUNS, "slow", "slow") == Spread(1, 1, 1)


def test_processor_time_is_summed_over_rounds_and_told_per_million_readings() -> None:
    told = figures.cpu_per_million(RUNS, "fast")
    assert list(told) == ["api", "client"]
    assert told == {"api": pytest.approx(400), "client": pytest.approx(20)}


def test_each_side_is_first_in_turn() -> None:
    turns = [figures.order(["a", "b", "c"], round_) for round_ in range(4)]
    assert turns == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_only_parts_that_worked_have_spent_processor_time() -> None:
    assert usage.spent({"api": 1.0, "idle": 2.0}, {"api": 1.5, "idle": 2.0, "new": 0.25}) == {"api": 0.5, "new": 0.25}
