"""What monitoring is told of the streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from iot_system.errors import Unavailable
from iot_system.ports.usage import Usage
from iot_system.services.fullness import EVERY_S, watch
from prometheus_client import REGISTRY

from tests.unit.services.simulated_loop import SimulatedClock


class Streams:
    """Says what a test wants."""

    def __init__(self) -> None:
        self.says: list[Usage] | Unavailable = []

    async def usage(self) -> list[Usage]:
        if isinstance(self.says, Unavailable):
            raise self.says
        return self.says


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    """Watched until the end of the test."""
    streams = Streams()
    watching = asyncio.create_task(watch(streams, SimulatedClock()))
    yield streams
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def figure(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"iot_stream_{name}", {"stream": "A"})


async def test_a_stream_s_size_limit_and_age_are_told(streams: Streams) -> None:
    streams.says = [Usage("A", 10, 100, SimulatedClock().now_us() - 7_000_000)]
    await asyncio.sleep(EVERY_S + 1)
    assert (figure("bytes"), figure("limit_bytes")) == (10, 100)
    assert 7 <= (figure("oldest_seconds") or 0) <= 7 + EVERY_S + 1
    streams.says = [Usage("A", 0, 100, None)]
    await asyncio.sleep(EVERY_S + 1)
    assert (figure("bytes"), figure("oldest_seconds")) == (0, 0)


async def test_old_figures_are_no_figures(streams: Streams) -> None:
    streams.says = [Usage("A", 10, 100, None)]
    await asyncio.sleep(EVERY_S + 1)
    streams.says = Unavailable("JetStream is away")
    await asyncio.sleep(EVERY_S + 1)
    assert figure("bytes") is figure("limit_bytes") is figure("oldest_seconds") is None
    streams.says = [Usage("A", 20, 100, None)]
    await asyncio.sleep(EVERY_S + 1)
    assert figure("bytes") == 20
