"""For all tests. Property tests are judged by what they find, not by how long a busy machine takes for it."""

import argparse
import math
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from ci import previous, tools

collect_ignore = ["data"]
"""Charts with tests of their own."""

settings.register_profile("patient", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1000, phases=[Phase.generate, Phase.shrink])
settings.load_profile("patient")


def above_0(text: str) -> int:
    """A number of something. Raises ArgumentTypeError."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def names(text: str) -> list[str]:
    """By commas."""
    return [name for name in text.split(",") if name]


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make soak` and `make simulation` ask for."""
    group = parser.getgroup("faults")
    group.addoption("--rounds", type=above_0, default=1, help="how often each fault is struck")
    group.addoption("--faults", type=names, default=[], help="names of faults by commas; all by default")
    group.addoption("--figures", default=None, type=Path, help="a file for all figures, from which a run goes on")
    group.addoption("--budget-min", default=math.inf, type=float, help="minutes after which no more faults are struck")
    group = parser.getgroup("simulation")
    group.addoption("--histories", type=above_0, default=500, help="how many histories are simulated, from seed 0 on")
    group.addoption("--seed", type=int, default=None, help="simulate the history of this seed alone, and print it")


def pytest_configure(config: pytest.Config) -> None:
    """Here, not in pyproject.toml, of which images are made."""
    text = "rounds(least): says something of at least so many rounds of faults, and is not chosen for fewer"
    config.addinivalue_line("markers", text)


@pytest.fixture(scope="session")
def helm_program() -> str:
    """The plugin's fixture of this name: Helm as tools.lock has it."""
    return str(tools.path("helm"))


@pytest.fixture(scope="session")
def kubectl_program() -> str:
    """The same of kubectl."""
    return str(tools.path("kubectl"))


@pytest.fixture(scope="session")
def previous_tree() -> Path:
    """The tree of the release before this one; skips where this clone has not got it."""
    try:
        return previous.tree()
    except previous.PreviousError as lacking:
        pytest.skip(str(lacking))
