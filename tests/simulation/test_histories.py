"""Histories by seeds: gateways, shards and coordinator as they are, over a broker and a network that are simulated.

python -m pytest -c runtime/pyproject.toml --rootdir=. tests/simulation/test_histories.py --histories 20000
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.conftest import TOLD
from tests.simulation.simulation import simulate


def test_whatever_goes_wrong_what_was_acknowledged_is_there_once_and_in_its_order(
    seeds: range, pytestconfig: pytest.Config, record_property: Callable[[str, object], None]
) -> None:
    is_told = pytestconfig.getoption("--seed") is not None
    for seed in seeds:
        outcome = simulate(seed, is_told=is_told)
        assert not outcome.wrong, f"\n{outcome}"
        if is_told:
            record_property(TOLD, str(outcome))
