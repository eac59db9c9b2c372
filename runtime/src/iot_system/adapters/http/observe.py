"""What the interface counts of itself. Labels are route templates, so that no client can make new time series."""

from __future__ import annotations

from time import perf_counter

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

REQUESTS = Counter("iot_http_requests_total", "Requests answered", ["route", "method", "status"])
DURATIONS = Histogram(
    "iot_http_request_duration_seconds", "Time from request to the start of its answer", ["route", "method"]
)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_NO_ROUTE = "none"


def observed(app: ASGIApp) -> ASGIApp:
    """Return ``app`` counted and timed."""

    async def observed_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        status = 500
        started = perf_counter()
        answered: float | None = None

        async def noting_send(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], perf_counter()
            await send(message)

        try:
            await app(scope, receive, noting_send)
        finally:
            route = scope.get("path_template") or _NO_ROUTE
            method = scope["method"] if scope["method"] in _METHODS else "other"
            REQUESTS.labels(route, method, str(status)).inc()
            DURATIONS.labels(route, method).observe((answered or perf_counter()) - started)

    return observed_app
