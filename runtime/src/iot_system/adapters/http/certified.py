"""Nobody without a client certificate but the probes: Kubernetes and Prometheus have none to show."""

from __future__ import annotations

import asyncio

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from iot_system.adapters.http.monitoring import PATHS
from iot_system.adapters.refusals import Refusals

_WHY = "this server lets nobody in without a client certificate"
_BODY = msgspec.json.encode(
    {"type": "/problems/unauthenticated", "title": "Unauthenticated", "status": 401, "detail": _WHY}
)
_HEADERS = (
    (b"content-type", b"application/problem+json"),
    (b"content-length", b"%d" % len(_BODY)),
    (b"connection", b"close"),
)


def certified(app: ASGIApp) -> ASGIApp:
    """Return ``app`` behind that rule; the state of a request's scope has the ``certificate`` of its connection."""
    refusals = Refusals(asyncio.get_running_loop().time, port="http")

    async def certified_app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["state"]["certificate"] is not None or scope["path"] in PATHS:
            await app(scope, receive, send)
            return
        host, port = scope["client"] or ("unknown", 0)
        why = "the client shows no certificate, and this port requires one"
        refusals.tell("certificate", why, client=f"{host}:{port}")
        await send({"type": "http.response.start", "status": 401, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY, "more_body": False})

    return certified_app
