from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.client.shared import Shared, shared_system
from tests.harness.rest import Rest


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with shared_system(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture
def rest(system: Shared) -> Iterator[Rest]:
    client = Rest(system.url, system.admin_token)
    yield client
    client.close()
