"""Whoever plants a defect is found out: else the simulation proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.simulation import simulate

FOUND_WITHIN = 200
"""Histories."""


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.__name__)
def test_a_planted_defect_is_found(
    defect: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)
    assert any(simulate(seed).wrong for seed in range(FOUND_WITHIN)), f"{defect.__name__} was not found"
