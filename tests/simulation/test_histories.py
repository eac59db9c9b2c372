"""Histories by seeds: gateways, shards and coordinator as they are, over a broker and a network that are simulated.

python -m pytest -c runtime/pyproject.toml --rootdir=. tests/simulation/test_histories.py --histories 20000
"""

from __future__ import annotations

import pytest

from tests.simulation.simulation import simulate


def test_whatever_goes_wrong_what_was_acknowledged_is_there_once_and_in_its_order(
    seeds: range, request: pytest.FixtureRequest
) -> None:
    is_told = request.config.getoption("--seed") is not None
    for seed in seeds:
        outcome = simulate(seed, is_told=is_told)
        assert not outcome.wrong, f"\n{outcome}"
        if is_told:
            request.config.get_terminal_writer().line(f"\n{outcome}")
