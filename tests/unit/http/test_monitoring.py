from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from iot_system.adapters.http.monitoring import create_monitoring_app
from iot_system.adapters.http.server import HttpServer
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.http.expected import problem
from tests.unit.http.serving import Served, SwitchableHealth


@pytest.fixture(params=["alone", "with the interface"])
async def monitored(
    request: pytest.FixtureRequest, served: Served
) -> AsyncIterator[tuple[SwitchableHealth, httpx.AsyncClient]]:
    """Both places that answer probes, asked without a token."""
    if request.param == "with the interface":
        async with served.client(None) as client:
            yield served.health, client
        return
    async with probes_alone() as alone:
        yield alone


@asynccontextmanager
async def probes_alone() -> AsyncIterator[tuple[SwitchableHealth, httpx.AsyncClient]]:
    health = SwitchableHealth()
    server = HttpServer(create_monitoring_app(health), "127.0.0.1", 0)
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield health, client
    await server.stop(5.0)


async def test_probes_answer_yes(
    monitored: tuple[SwitchableHealth, httpx.AsyncClient],
) -> None:
    _, client = monitored
    for path in ("/health", "/ready"):
        response = await client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_probes_say_why_not(
    monitored: tuple[SwitchableHealth, httpx.AsyncClient],
) -> None:
    health, client = monitored
    health.ready = "the database does not answer"
    assert (await client.get("/health")).status_code == 200
    response = await client.get("/ready")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "reason": "the database does not answer",
    }
    health.alive = "the last fetch is 61 s ago"
    response = await client.get("/health")
    assert response.status_code == 503
    assert response.json() == {
        "status": "not alive",
        "reason": "the last fetch is 61 s ago",
    }


async def test_metrics_are_in_the_text_format(
    monitored: tuple[SwitchableHealth, httpx.AsyncClient],
) -> None:
    _, client = monitored
    response = await client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "process_cpu_seconds" in {family.name for family in text_string_to_metric_families(response.text)}


async def test_what_is_not_there_yet_is_unavailable_and_not_unknown() -> None:
    async with probes_alone() as (health, client):
        health.ready = "the broker does not answer"
        response = await client.get("/v1/devices/d1/twin")
        assert problem(response, 503, "unavailable")["detail"] == "not ready yet: the broker does not answer"
        assert response.headers["retry-after"]
        health.ready = None
        problem(await client.get("/v1/devices/d1/twin"), 404, "not-found")


async def counted(served: Served) -> dict[tuple[str, str, str], float]:
    """(route, method, status) → requests so far."""
    text = (await served.admin.get("/metrics")).text
    return {
        (
            sample.labels["route"],
            sample.labels["method"],
            sample.labels["status"],
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "iot_http_requests_total"
    }


async def test_requests_are_counted_by_route_never_by_path(served: Served) -> None:
    before = await counted(served)
    for number in range(3):
        await served.admin.get(f"/v1/devices/counted-{number}/twin")
        await served.admin.get(f"/nowhere/{number}")
        await served.admin.request(f"ODD{number}", "/v1/devices")
    after = await counted(served)
    grown = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert grown.pop(("/metrics", "GET", "200")) == 1
    assert grown.pop(("/v1/devices/{device}/twin", "GET", "404")) == 3
    assert grown.pop(("none", "GET", "404")) == 3
    assert {(route, method) for route, method, _ in grown} <= {("none", "other")}
    assert "counted-" not in str(after)


async def test_figures_of_processes_that_share_a_folder_are_told(
    monitored: tuple[SwitchableHealth, httpx.AsyncClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    program = "from prometheus_client import Counter; Counter('another_process', 'Told by another process').inc(3)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0
    response = await monitored[1].get("/metrics")
    assert "another_process_total 3.0" in response.text.splitlines()
