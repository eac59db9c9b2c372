from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contract.conformance.guests import Guests, guests_of
from tests.contract.mqtt.serving import Served, serving
from tests.harness.system import System, running_system


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Two API pods over a broker, for all tests of a module."""
    async with running_system(tmp_path_factory.mktemp("system"), pods=2) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def guests(system: System) -> AsyncIterator[Guests]:
    async with guests_of(system) as some:
        yield some
