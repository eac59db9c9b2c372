"""The HTTP server: uvicorn inside the running event loop, with bounds that it does not have by itself.

Measured on two cores against granian's embedded server (see bench in the design notes): uvicorn with httptools answered
small requests about a third faster under load and twice as fast one by one, and 1 MiB bodies at least as fast, with
half the memory. Granian calls that server experimental.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from litestar.types import ASGIApp
from uvicorn._types import ASGIApplication
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from iot_system.errors import InvalidSetting

HEADERS_LIMIT = 64 * 1024
"""Bytes of address and headers of one request."""
REQUEST_LIMIT = 64 * 1024 * 1024
"""Bytes of one request's body, refused ones included: so much is read and discarded before the connection is cut."""
CONNECTIONS_LIMIT = 4096
HEADERS_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 120.0
KEEP_ALIVE_S = 75
_BACKLOG = 1024
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
)
_log = structlog.get_logger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A request must arrive whole in time and within its limits; so must its headers, and sooner."""

    _timer: asyncio.TimerHandle | None = None
    _in_headers = False
    _received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_LIMIT:
            detail = f"the server has {CONNECTIONS_LIMIT} connections, its limit"
            body = b'{"type":"/problems/unavailable","title":"Unavailable","status":503,"detail":"%s"}'
            body %= detail.encode()
            transport.write(_FULL % (len(body), body))
            transport.close()
            return
        self._expect_within(HEADERS_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:  # still: all of it belongs to them
            self._received += len(data)
            if self._received > HEADERS_LIMIT:
                self._cut("the headers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._received = True, 0
        self._expect_within(HEADERS_TIMEOUT_S)

    def on_headers_complete(self) -> None:
        self._in_headers, self._received = False, 0
        self._expect_within(REQUEST_TIMEOUT_S)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        if self._received > REQUEST_LIMIT:
            self._cut("the body is too large")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._expect_within(None)
        super().on_message_complete()

    def _expect_within(self, timeout_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = (
            None if timeout_s is None else self.loop.call_later(timeout_s, self._cut, "the request is too slow")
        )

    def _cut(self, reason: str) -> None:
        if not self.transport.is_closing():
            _log.warning("connection cut", reason=reason, client=self.client)
            self.transport.abort()


class _Uvicorn(uvicorn.Server):
    """Without signal handlers, which belong to the process; says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class HttpServer:
    """Serves ``app`` on ``host``:``port`` (0 takes a free one) in the current event loop."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, from `start` on."""
        return self._port

    async def start(self) -> None:
        """Returns when connections are accepted. Raises `InvalidSetting` where the address cannot be used."""
        listener = _listener(self._host, self._port)
        self._port = listener.getsockname()[1]
        app: ASGIApplication = self._app  # type: ignore[assignment]
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        self._serving = asyncio.create_task(self._server.serve([listener]), name="http-server")
        await self._server.listening.wait()

    async def stop(self, deadline_s: float) -> None:
        """Accept no more, answer what was asked, cut what takes longer than ``deadline_s``. May be called again."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait([self._serving], timeout=deadline_s)
        if not done:
            _log.warning("connections cut at stop", connections=len(self._server.server_state.connections))
            self._server.force_exit = True
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()
            for task in list(self._server.server_state.tasks):
                task.cancel()
            await asyncio.wait([self._serving])
        self._serving.result()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InvalidSetting(f"cannot listen on {host}:{port}: {error.strerror}") from error
