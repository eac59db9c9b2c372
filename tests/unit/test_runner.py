"""The runner: probes from the first moment, signals, and an end that drains."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import pytest
from chart_harness.loopback import free_port
from chart_harness.waiting import until
from iot_system.adapters.http.monitoring import create_monitoring_app
from iot_system.errors import InvalidSetting
from iot_system.services.runner import run

DEADLINE_S = 20.0


class Service:
    """Starts and ends when the test says so; ``history`` tells what was done with it."""

    def __init__(self) -> None:
        self.may_start = asyncio.Event()
        self.ended = asyncio.Event()
        self.refusal: Exception | None = None
        self.history: list[str] = []
        self._missing: str | None = "the database is away"

    def why_not_alive(self) -> str | None:
        return None

    def why_not_ready(self) -> str | None:
        return self._missing

    async def start(self) -> None:
        self.history.append("start")
        if self.refusal is not None:
            raise self.refusal
        try:
            await self.may_start.wait()
        except asyncio.CancelledError:
            self.history.append("start cancelled")
            raise
        self._missing = None

    async def wait_for_end(self) -> None:
        await self.ended.wait()

    async def stop(self) -> None:
        self.history.append("stop")


class Running:
    """A service under the runner, and its probes."""

    def __init__(self, service: Service) -> None:
        self.port = free_port()
        app = create_monitoring_app(service)
        self.exit = asyncio.create_task(
            run(service, app, host="127.0.0.1", port=self.port, requests_timeout_s=DEADLINE_S)
        )

    async def ready(self) -> int:
        """The status of the readiness probe, 0 where nothing listens."""
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"http://127.0.0.1:{self.port}/ready")).status_code
            except httpx.TransportError:
                return 0

    async def says(self, status: int) -> None:
        async def does() -> bool:
            return await self.ready() == status

        await until(does, within_s=DEADLINE_S, why=f"/ready does not say {status}")

    async def code(self) -> int:
        return await asyncio.wait_for(self.exit, DEADLINE_S)


@pytest.fixture
def service() -> Service:
    return Service()


async def test_probes_are_answered_before_the_service_is_ready_and_after(service: Service) -> None:
    running = Running(service)
    await running.says(503)
    service.may_start.set()
    await running.says(200)
    service.ended.set()
    await running.code()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0_after_a_stop(service: Service, number: signal.Signals) -> None:
    running = Running(service)
    service.may_start.set()
    await running.says(200)
    os.kill(os.getpid(), number)
    assert await running.code() == 0
    assert service.history == ["start", "stop"]
    assert await running.ready() == 0


async def test_a_signal_while_it_starts_ends_it_with_0(service: Service) -> None:
    running = Running(service)
    await running.says(503)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running.code() == 0
    assert service.history == ["start", "start cancelled", "stop"]


@pytest.mark.parametrize("is_ready", [True, False])
async def test_a_service_that_cannot_go_on_ends_it_with_1(service: Service, is_ready: bool) -> None:
    running = Running(service)
    if is_ready:
        service.may_start.set()
    await running.says(200 if is_ready else 503)
    service.ended.set()
    assert await running.code() == 1
    assert service.history[-1] == "stop"


async def test_a_start_that_is_refused_is_told_after_a_stop(service: Service) -> None:
    service.refusal = InvalidSetting("IOT_PARTITIONS is 8, but this installation was made with 64")
    running = Running(service)
    with pytest.raises(InvalidSetting, match="IOT_PARTITIONS is 8"):
        await running.code()
    assert service.history == ["start", "stop"]
    assert await running.ready() == 0


async def test_a_port_that_is_taken_is_told_and_nothing_is_started(service: Service) -> None:
    other = Service()
    first = Running(other)
    await first.says(503)
    with pytest.raises(InvalidSetting, match="Address already in use"):
        await run(service, create_monitoring_app(service), host="127.0.0.1", port=first.port, requests_timeout_s=1)
    other.ended.set()
    await first.code()
    assert service.history == []
