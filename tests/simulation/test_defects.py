"""Whoever plants a defect is found out: else the simulation proves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from iot_system.services.committing import Committing

from tests.simulation.defects import DEFECTS
from tests.simulation.simulation import simulate

FOUND_WITHIN = 200
"""Histories."""


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.__name__)
def test_a_planted_defect_is_found_as_what_it_is(
    defect: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)
    told = (sentence for seed in range(FOUND_WITHIN) for sentence in simulate(seed).wrong)
    assert any(re.match(DEFECTS[defect], sentence) for sentence in told), f"{defect.__name__} was not found"


def test_what_crashes_is_wrong_and_no_defect_that_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Committing, "_commit_sealed", None)
    told = simulate(0).wrong
    assert told
    assert not [sentence for sentence in told if re.match("|".join(DEFECTS.values()), sentence)]
