from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import uvloop

from tests.contract.mqtt.serving import Served, serving
from tests.harness.system import System, running_system


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the pods run: its transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Two API pods with everything behind them."""
    async with running_system(tmp_path_factory.mktemp("system"), pods=2) as one:
        yield one


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as one:
        yield one
