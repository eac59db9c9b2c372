from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.system import System, running_system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Two API pods, a broker, and a shard on SQLite; one for all tests of a module, which name their things apart."""
    async with running_system(tmp_path_factory.mktemp("system"), pods=2) as one:
        yield one
