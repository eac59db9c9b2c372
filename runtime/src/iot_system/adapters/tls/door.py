"""A port that speaks TLS alone: each connection is let in by itself, with the newest certificates.

The event loop's own TLS servers keep one context for ever, and say nothing of a handshake that fails.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import structlog
from prometheus_client import Counter

from iot_system.adapters.refusals import Refusals
from iot_system.adapters.tls.contexts import TlsContexts
from iot_system.adapters.tls.refusing import sentence_of

HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
HANDSHAKES_LIMIT = 1024
"""Under way at once, of one port. One more cuts the oldest: who says nothing keeps nobody else out."""
PAUSE_S = 1.0
"""After an accept that failed: there are no more file descriptors, most likely."""
REFUSED = Counter("iot_tls_refused_total", "TLS handshakes that failed", ["port"])
log = structlog.get_logger()


class TlsDoor:
    """Accepts connections of ``listener``; ``protocol`` makes what has each of them after its handshake.

    ``name`` is the port's in logs and figures. Its end is that of an `asyncio.Server`.
    """

    def __init__(
        self, name: str, listener: socket.socket, contexts: TlsContexts, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._name = name
        self._listener = listener
        self._contexts = contexts
        self._protocol = protocol
        self._refused = REFUSED.labels(name)
        self._refusals = Refusals(asyncio.get_running_loop().time, port=name)
        self._entering: dict[asyncio.Task[None], str] = {}  # the client of each, the oldest first
        listener.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        # At once: whom the kernel let in for us then would wait for a handshake that never comes.
        self._accepting.add_done_callback(lambda _: listener.close())

    def close(self) -> None:
        """Accept no more, and cut the handshakes that are under way."""
        for task in (self._accepting, *self._entering):
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when nothing is accepted any more."""
        await asyncio.gather(self._accepting, *self._entering, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except OSError as error:
                log.error("no connection can be accepted", port=self._name, why=str(error))
                await asyncio.sleep(PAUSE_S)
                continue
            client = f"{address[0]}:{address[1]}"
            task = loop.create_task(self._shake_hands(connection, client))
            self._entering[task] = client
            task.add_done_callback(self._entering.pop)
            await asyncio.sleep(0)  # it has begun, and closes its connection by itself when it is cut
            if len(self._entering) > HANDSHAKES_LIMIT:
                await self._cut_oldest()

    async def _cut_oldest(self) -> None:
        oldest, client = next(iter(self._entering.items()))
        self._refuse(f"there are {HANDSHAKES_LIMIT} younger handshakes under way, the limit", client)
        oldest.cancel()
        await asyncio.wait([oldest])

    async def _shake_hands(self, connection: socket.socket, client: str) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options: dict[str, Any] = {
            "ssl": self._contexts.current,
            "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S,
            "ssl_shutdown_timeout": CLOSE_TIMEOUT_S,
        }
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection, **options)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError) as error:
            # It has left by itself, as load balancers do that only look whether somebody listens.
            log.debug("left during the handshake", port=self._name, client=client, error=repr(error))
        except OSError as error:
            self._refuse(sentence_of(error), client)

    def _refuse(self, why: str, client: str) -> None:
        self._refused.inc()
        self._refusals.tell("tls", why, client=client)
