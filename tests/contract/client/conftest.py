from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from iot_system.client import IotClient

from tests.contract.client.shared import Shared, shared_system


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with shared_system(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture
async def iot(system: Shared) -> AsyncIterator[IotClient]:
    async with IotClient(system.url, system.admin_token) as client:
        yield client
