"""The table of the faults, at the end of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.contract.faults.figures import Figures, Table
from tests.harness.disk import SmallDisk, small_disk

pytest.register_assert_rewrite("tests.contract.faults.workload")
COUNTED = "counted"
"""The property of a test that has a run for the table: processes of tests hand nothing else on."""


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Callable[[str, Figures], None]:
    """Enters a run of the fault of this name, that came out right, in the table."""
    return lambda fault, figures: record_property(COUNTED, [fault, *figures])


@pytest.fixture
def disk_of() -> Iterator[Callable[[int], SmallDisk]]:
    """Makes a file system of so many megabytes, as many as a test needs."""
    with ExitStack() as opened:

        def make(megabytes: int) -> SmallDisk:
            try:
                return opened.enter_context(small_disk(megabytes))
            except PermissionError as error:
                pytest.skip(f"a disk that is full needs one of its own: {error}")

        yield make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print it."""
    table = Table()
    for report in terminalreporter.stats.get("passed", ()):
        for name, counted in report.user_properties:
            if name == COUNTED:
                fault, *figures = counted
                table.add(fault, Figures(*figures))
    if lines := table.lines():
        terminalreporter.section("killed in the middle; nothing lost, nothing doubled")
        for line in lines:
            terminalreporter.write_line(line)
