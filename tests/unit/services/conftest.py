from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.unit.services.simulated_loop import SimulatedLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Time is simulated in all tests of services."""
    return {"simulated": SimulatedLoop}
