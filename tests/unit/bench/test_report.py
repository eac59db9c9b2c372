"""What a run is told as."""

from __future__ import annotations

import msgspec
import pytest

from bench import report
from bench.actors.activating import Activated
from bench.actors.benchmark import Actors, Update, Waking
from bench.benchmarks import BENCHMARKS
from bench.commands.benchmark import Commands, Latency
from bench.connections import Connections, Memory
from bench.figures import Run
from bench.growth import Growth, Point
from bench.ingest import Ingest, Size
from bench.ledger import LedgerRun, Ledgers
from bench.machine import Machine
from bench.results import Results

MACHINE = Machine(cores=2, processor="a processor", memory_gib=4, kernel="6.1", sync_ms=0.5)


def results() -> Results:
    return Results(date="today", machine=MACHINE, versions={"Python": "3.11"})


def run(side: str, round_: int, readings: int) -> Run:
    return Run(side, round_, readings, 2.0, 2.0, {"api": 0.5}, 1.0)


def test_ingest_is_told_against_every_reference_by_size_of_message() -> None:
    runs = [run("fast", 0, 1000), run("slow: very", 0, 100), run("fast", 1, 3000), run("slow: very", 1, 100)]
    told = results()
    told.ingest = Ingest(["slow: very"], ["fast", "slow: very"], [Size(6, runs)])
    text = report.text(told)
    assert "times slow |" in text
    assert "| fast | 3,000 | 1,000 (500-1,500) | 20.00 (10.00-30.00) |" in text
    assert "6 readings in a message" in text


def test_actors_are_told_against_ray_and_by_what_one_takes() -> None:
    updates = [Update("ours", 0, 1, 900, 1.0), Update("Ray", 0, 1, 3, 1.0)]
    waking = Waking("sqlite", 100, 6, [Activated(100, 0.01, 120_000, None)], traced_bytes=110_000)
    told = results()
    told.actors = Actors("Ray", ["ours", "Ray"], updates, [waking])
    text = report.text(told)
    assert "| ours | 900 (900-900) | 300.0 (300.0-300.0) |" in text
    told_of_waking = "| 100 with 6 newest readings, sqlite | 10,000 (10,000-10,000) | 1,200 (1,200-1,200) | 1,100 |"
    assert told_of_waking in text


def test_a_command_is_told_as_a_multiple_of_its_hops_of_the_same_round() -> None:
    latencies = [
        *(Latency("trip", 0, 9.0, 9.5, 9.9), Latency("hop", 0, 2.0, 2.5, 2.9)),
        *(Latency("trip", 1, 8.0, 8.5, 8.9), Latency("hop", 1, 1.0, 1.5, 1.9)),
    ]
    told = results()
    told.commands = Commands("trip", {"hop": 2}, latencies)
    assert "is 3.12 (2.25-4.00) times the sum" in report.text(told)


def test_memory_is_told_by_connection() -> None:
    runs = [run("alone", 0, 100), run("among", 0, 90)]
    told = results()
    told.connections = Connections(Memory(idle=10, before=1 << 20, after=(1 << 20) + 50_000), ["alone", "among"], runs)
    text = report.text(told)
    assert "10 idle clients take 5,000 bytes each" in text
    assert "| among | 45 (45-45) | 0.90 (0.90-0.90) |" in text


def test_each_point_of_growth_is_a_row() -> None:
    told = results()
    told.growth = Growth([Point(64, 2, 1000, 20.0, 2.0, 5e4, 6e4, [1 << 20, 2 << 20], 0.25)])
    assert "| 64 | 2 | 1,000 | 50,000 | 60,000 | 1, 2 | 20.0 | 0.25 | 500 |" in report.text(told)


def test_the_ledger_is_told_by_what_it_takes() -> None:
    told = results()
    told.ledger = Ledgers(20_000, [LedgerRun(0, 200_000, 10.0, 4.0, 0.5, 3.0)])
    text = report.text(told)
    assert "load at 20,000 readings/s (1 rounds)" in text
    assert "cores taken by the load, its ledger included | 0.400 (0.400-0.400) |" in text
    assert "seconds of the checker per million rows | 15.0 (15.0-15.0) |" in text


def test_what_was_not_measured_is_not_told() -> None:
    assert "##" not in report.text(results())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_its_place_in_the_results(name: str) -> None:
    assert name in Results.__struct_fields__


def test_results_are_read_as_they_were_written() -> None:
    told = results()
    told.growth = Growth([Point(64, 2, 1000, 20.0, 2.0, 5e4, 6e4, [1], 0.25)])
    assert msgspec.json.decode(msgspec.json.encode(told), type=Results) == told
