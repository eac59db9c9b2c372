"""`/health`, `/ready` and `/metrics`: for probes and Prometheus, on every pod, without a token."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, Request, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Meta, UnsetType
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from iot_system.adapters.http import problems
from iot_system.adapters.http.problems import Problem
from iot_system.adapters.http.responses import Response
from iot_system.errors import Unavailable
from iot_system.ports.health import Health

EXPOSITION = "text/plain; version=0.0.4"


class Status(msgspec.Struct):
    """A probe's answer; ``reason`` says in one sentence what is missing."""

    status: Annotated[str, Meta(examples=["ok"])]
    reason: Annotated[str, Meta(examples=["the broker does not answer"])] | UnsetType = UNSET


_NOT = {503: ResponseSpec(Status, generate_examples=False, description="Not so, with the reason")}


PATHS = frozenset({"/health", "/ready", "/metrics"})


def monitoring_routes(health: Health) -> list[HTTPRouteHandler]:
    """The three routes over ``health``."""

    @get(
        "/health",
        operation_id="getHealth",
        summary="Liveness",
        tags=["monitoring"],
        security=[],
        responses=_NOT,
        sync_to_thread=False,
    )
    def get_health() -> Response[Status]:
        """Whether this process is alive; if not, restart it."""
        return _answer(health.why_not_alive, "not alive")

    @get(
        "/ready",
        operation_id="getReadiness",
        summary="Readiness",
        tags=["monitoring"],
        security=[],
        responses=_NOT,
        sync_to_thread=False,
    )
    def get_readiness() -> Response[Status]:
        """Whether this process can serve now."""
        return _answer(health.why_not_ready, "not ready")

    @get(
        "/metrics",
        operation_id="getMetrics",
        summary="Metrics",
        tags=["monitoring"],
        security=[],
        media_type=MediaType.TEXT,
        sync_to_thread=False,
    )
    def get_metrics() -> Response[bytes]:
        """Prometheus' text format."""
        return Response(generate_latest(_registry()), media_type=EXPOSITION)

    return [get_health, get_readiness, get_metrics]


def create_monitoring_app(health: Health) -> Litestar:
    """The three routes alone, for pods that serve nothing else by HTTP, or nothing else yet."""

    def on_not_found(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
        """What is not there may be there soon: a client must not take "not found" for an answer."""
        missing = health.why_not_ready()
        return problems.on_exception(request, Unavailable(f"not ready yet: {missing}") if missing else error)

    return Litestar(
        monitoring_routes(health),
        exception_handlers={Exception: problems.on_exception, NotFoundException: on_not_found},
        openapi_config=None,
        logging_config=None,
    )


def _registry() -> CollectorRegistry:
    """Figures of all processes that share a folder for them, as a pod's shards do, or of this one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _answer(why_not: Callable[[], str | None], otherwise: str) -> Response[Status]:
    if reason := why_not():
        return Response(Status(otherwise, reason), status_code=503)
    return Response(Status("ok"))
