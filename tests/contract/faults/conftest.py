"""The table of the faults, at the end of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.contract.faults.figures import Table
from tests.harness.disk import SmallDisk, small_disk

pytest.register_assert_rewrite("tests.contract.faults.workload")
TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    return pytestconfig.stash.setdefault(TABLE, Table())


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print it."""
    if lines := config.stash.setdefault(TABLE, Table()).lines():
        terminalreporter.section("killed in the middle; nothing lost, nothing doubled")
        for line in lines:
            terminalreporter.write_line(line)
