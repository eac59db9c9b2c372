from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.commands.kubernetes_api import KubernetesApi


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    with KubernetesApi(tmp_path) as running:
        yield running
