"""A real nats-server for each test that wants one, and connections of its users; at the end the table of the faults.

That is printed by the first of several processes, which of those below this folder reads this one alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from iot_system.adapters.nats import connection
from iot_system.adapters.nats.permissions import ACTOR_SYSTEM, API
from nats.aio.client import Client

from tests.contract.faults.figures import COUNTED, Figures, Table
from tests.harness.nats import NatsServer, connected, running_nats
from tests.harness.properties import handed_on


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Without streams; a folder or a file that wants some has its own `server`, which makes them in this one."""
    async with running_nats(tmp_path) as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot connect is told so sooner than in a pod, which has time."""
    monkeypatch.setattr(connection, "FIRST_CONNECTION_TIMEOUT_S", 2.0)


@pytest.fixture
async def api(server: NatsServer) -> AsyncIterator[Client]:
    """As API pods."""
    async with connected(server, API) as client:
        yield client


@pytest.fixture
async def actor_system(server: NatsServer) -> AsyncIterator[Client]:
    """As actor-system pods."""
    async with connected(server, ACTOR_SYSTEM) as client:
        yield client


@pytest.fixture
async def administrator(server: NatsServer) -> AsyncIterator[Client]:
    """As the job that makes the streams."""
    async with connected(server) as client:
        yield client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the runs of each fault have counted."""
    table = Table()
    for fault, *figures in handed_on(terminalreporter, COUNTED):
        table.add(fault, Figures(*figures))
    if lines := table.lines():
        terminalreporter.section("killed in the middle; nothing lost, nothing doubled")
        for line in lines:
            terminalreporter.write_line(line)
