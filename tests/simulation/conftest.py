"""Seeds in parts, which processes share out."""

from __future__ import annotations

import pytest

from tests.harness.properties import handed_on

PART = 50
TOLD = "history"
"""The property of a test that has a history to tell."""


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Who asks for one history gets that alone."""
    if config.getoption("--seed") is not None:
        others = [item for item in items if "seeds" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the history that was asked for; one that went wrong stands in its failure."""
    for told in handed_on(terminalreporter, TOLD):
        terminalreporter.write_line(f"\n{told}")
