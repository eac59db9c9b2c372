"""The HTTP server: uvicorn's protocol inside the running event loop, with bounds that it does not have by itself.

Measured on two cores against granian's embedded server (see bench in the design notes): uvicorn with httptools answered
small requests about a third faster under load and twice as fast one by one, and 1 MiB bodies at least as fast, with
half the memory. Granian calls that server experimental.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from email.utils import formatdate
from types import MappingProxyType
from typing import TypeAlias

import msgspec
import structlog
import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from iot_system.adapters.http.certified import certified
from iot_system.adapters.listening import BACKLOG, listen
from iot_system.adapters.tls.certificates import certificate_of
from iot_system.adapters.tls.contexts import TlsContexts
from iot_system.adapters.tls.door import TlsDoor

__all__ = ["ASGIApp", "HttpServer"]

WebSocketFactory: TypeAlias = Callable[[], asyncio.Protocol]
NO_WEBSOCKETS: Mapping[str, WebSocketFactory] = MappingProxyType({})
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"
)
_log = structlog.get_logger(__name__)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a server allows its clients. ``body_bytes`` counts refused bodies too: so much is read and discarded."""

    connections: int = 4096
    header_bytes: int = 64 * 1024
    body_bytes: int = 64 * 1024 * 1024
    header_timeout_s: float = 10.0
    request_timeout_s: float = 120.0
    write_timeout_s: float = 30.0
    keep_alive_s: int = 75


_STANDARD = Bounds()


class HttpTls(msgspec.Struct, frozen=True):
    """Where a certificate of the client is required, a handshake still goes without: probes have none to show."""

    contexts: TlsContexts
    requires_certificate: bool


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A request must arrive whole in time and within its limits; so must its headers, and sooner.

    What is answered must be read in time. ``stopping`` is done when the server stops: an answer without an end ends
    then; it is in the state of each request's scope, and so is the client's ``certificate``, or None.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        state: ServerState,
        bounds: Bounds,
        on_last_lost: Callable[[], None],
        stopping: asyncio.Future[None],
        websockets: Mapping[bytes, WebSocketFactory],
        *,
        requires_certificate: bool,
    ) -> None:
        super().__init__(config, state, app_state={"stopping": stopping, "certificate": None})
        self._websockets = websockets
        self._requires_certificate = requires_certificate
        self._bounds = bounds
        self._on_last_lost = on_last_lost
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._in_headers = False
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.app_state["certificate"] = certificate_of(transport)
        if len(self.connections) > self._bounds.connections:
            detail = f"the server has {self._bounds.connections} connections, its limit"
            body = b'{"type":"/problems/unavailable","title":"Unavailable","status":503,"detail":"%s"}\n'
            body %= detail.encode()
            transport.write(_FULL % (len(body), body))
            transport.close()
            return
        self._expect_within(self._bounds.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_within(None)
        self._read_again()
        super().connection_lost(exc)
        if not self.connections:
            self._on_last_lost()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_headers:  # still: all of it belongs to them
            self._received += len(data)
            if self._received > self._bounds.header_bytes:
                self._cut("the headers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._received = True, 0
        self._expect_within(self._bounds.header_timeout_s)

    def on_headers_complete(self) -> None:
        self._in_headers, self._received = False, 0
        self._expect_within(self._bounds.request_timeout_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        if self._received > self._bounds.body_bytes:
            self._cut("the body is too large")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._expect_within(None)
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """In the place of uvicorn's, which knows one WebSocket application for all paths."""
        if self._requires_certificate and self.app_state["certificate"] is None:
            return False  # then it is a request like others, which are refused
        return self._get_upgrade() == b"websocket" and self.url.partition(b"?")[0] in self._websockets

    def handle_websocket_upgrade(self) -> None:
        """In the place of uvicorn's: give the connection, with the request that asks for it, to who serves its path."""
        self._expect_within(None)
        self.connections.discard(self)
        if not self.connections:
            self._on_last_lost()
        protocol = self._websockets[self.url.partition(b"?")[0]]()
        headers = b"".join(b"%s: %s\r\n" % header for header in self.headers)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(b"%s %s HTTP/1.1\r\n%s\r\n" % (self.scope["method"].encode(), self.url, headers))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._bounds.write_timeout_s, self._cut, "the client does not read")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_again()

    def _read_again(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

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


class HttpServer:
    """Serves ``app`` on ``host``:``port`` (0 takes a free one) in the current event loop.

    ``websockets`` make, by path, what takes a connection over that is to be a WebSocket, and answers its request. With
    ``tls`` the port speaks TLS alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        bounds: Bounds = _STANDARD,
        *,
        websockets: Mapping[str, WebSocketFactory] = NO_WEBSOCKETS,
        tls: HttpTls | None = None,
    ) -> None:
        self._app = app
        self._tls = tls
        self._websockets = {path.encode(): factory for path, factory in websockets.items()}
        self._host = host
        self._port = port
        self._bounds = bounds
        self._state = ServerState()
        self._listening: asyncio.Server | TlsDoor | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._drained = asyncio.Event()
        self._stopping: asyncio.Future[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens on, from `start` on."""
        return self._port

    async def start(self) -> None:
        """Returns when connections are accepted. Raises `InvalidSetting` where the address cannot be used."""
        listener = listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        requires_certificate = self._tls is not None and self._tls.requires_certificate
        config = uvicorn.Config(
            certified(self._app) if requires_certificate else self._app,
            http="httptools",
            ws="none",
            interface="asgi3",  # what uvicorn guesses is wrong for a bound method
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=self._bounds.keep_alive_s,
        )
        config.load()
        self._stopping = stopping = asyncio.get_running_loop().create_future()

        def protocol() -> asyncio.Protocol:
            return BoundedProtocol(
                config,
                self._state,
                self._bounds,
                self._drained.set,
                stopping,
                self._websockets,
                requires_certificate=requires_certificate,
            )

        if self._tls is not None:
            self._listening = TlsDoor("http", listener, self._tls.contexts, protocol)
        else:
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_server(protocol, sock=listener, backlog=BACKLOG)
        self._tell_date()

    async def stop(self, deadline_s: float) -> None:
        """Accept no more, answer what was asked, cut what takes longer than ``deadline_s``. May be called again."""
        if self._listening is None:
            return
        listening, self._listening = self._listening, None
        listening.close()
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_result(None)
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.connections:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), deadline_s)
        await self._cut_the_rest()
        await listening.wait_closed()
        if self._clock is not None:
            self._clock.cancel()

    async def _cut_the_rest(self) -> None:
        connections, tasks = list(self._state.connections), list(self._state.tasks)
        if connections:
            _log.warning("connections cut at stop", connections=len(connections))
        for connection in connections:
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _tell_date(self) -> None:
        """The Date header of answers (RFC 9110, section 6.6.1), good for a second."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = asyncio.get_running_loop().call_later(1.0, self._tell_date)
