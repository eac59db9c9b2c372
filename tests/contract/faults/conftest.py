"""The table of the faults, at the end of the output."""

from __future__ import annotations

import pytest

from tests.contract.faults.figures import Table

pytest.register_assert_rewrite("tests.contract.faults.workload")
TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    return pytestconfig.stash.setdefault(TABLE, Table())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print it."""
    if lines := config.stash.setdefault(TABLE, Table()).lines():
        terminalreporter.section("killed in the middle; nothing lost, nothing doubled")
        for line in lines:
            terminalreporter.write_line(line)
