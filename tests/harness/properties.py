"""What tests hand on to the end of a run: properties of their reports, which cross from one process to another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def handed_on(terminal: pytest.TerminalReporter, name: str) -> Iterator[Any]:
    """The values of the property of this name (`record_property`), of all tests that passed."""
    for report in terminal.stats.get("passed", ()):
        yield from (value for given, value in report.user_properties if given == name)
