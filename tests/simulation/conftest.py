"""Seeds in parts, which processes share out."""

from __future__ import annotations

import pytest

PART = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``seeds`` of one test after the other."""
    if "seeds" not in metafunc.fixturenames:
        return
    histories: int = metafunc.config.getoption("--histories")
    seed: int | None = metafunc.config.getoption("--seed")
    parts = [range(first, min(first + PART, histories)) for first in range(0, histories, PART)]
    if seed is not None:
        parts = [range(seed, seed + 1)]
    metafunc.parametrize("seeds", parts, ids=[f"{part.start}-{part.stop - 1}" for part in parts])
