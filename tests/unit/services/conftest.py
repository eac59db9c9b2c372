from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.unit.services.asked import DEVICE
from tests.unit.services.hearing import Served
from tests.unit.services.simulated_loop import SimulatedLoop
from tests.unit.services.system import ALL, Process, System, running


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Time is simulated in all tests of services."""
    return {"simulated": SimulatedLoop}


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running() as one:
        yield one


@pytest.fixture
async def process(system: System) -> Process:
    """Owns all; the device is registered, its actor is in memory, and the gateway knows it."""
    process = await system.process("a", ALL)
    await system.register(DEVICE)
    await system.say(DEVICE, 1)
    await system.settled()
    await system.gateway.device(DEVICE)
    return process


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    one = Served()
    await one.hub.start()
    yield one
    await one.hub.stop()
