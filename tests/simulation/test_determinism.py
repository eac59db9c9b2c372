"""The same seed gives the same history, to the byte, whatever order a process's sets and dictionaries of texts have."""

from __future__ import annotations

import os
import subprocess
import sys

SEEDS = range(40, 50)
PROGRAM = f"""
from tests.simulation.simulation import simulate
for seed in range({SEEDS.start}, {SEEDS.stop}):
    print(simulate(seed, is_told=True))
"""


def told(hash_seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=200, check=True
    )
    return done.stdout


def test_a_seed_has_one_history() -> None:
    one, other = told(1), told(2)
    assert one.count("FAULT") >= len(SEEDS)
    assert one.splitlines() == other.splitlines()


def test_two_seeds_have_two_histories() -> None:
    histories = told(1).split("again: ")
    assert len(set(histories)) == len(histories)
