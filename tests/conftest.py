"""For all tests. Property tests are judged by what they find, not by how long a busy machine takes for it."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make soak` asks for."""
    group = parser.getgroup("faults")
    group.addoption("--rounds", type=int, default=1, help="how often each fault is struck")
    group.addoption("--faults", default="", help="names of faults by commas; all by default")
    group.addoption("--figures", default=None, type=Path, help="a file for all figures, written after each fault")
