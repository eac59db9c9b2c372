from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.contract.access.callers import identity_provider, register_all
from tests.harness.system import System, running_system


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """Two API pods, and an identity provider."""
    folder = tmp_path_factory.mktemp("system")
    async with running_system(folder, pods=2, jwt=identity_provider(folder)) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(system: System) -> dict[str, httpx.AsyncClient]:
    return await register_all(system)
