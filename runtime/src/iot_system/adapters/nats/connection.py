"""One connection to NATS that is never given up."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import AsyncExitStack
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.protocol.parser import AUTHORIZATION_VIOLATION

from iot_system.adapters.secret_file import secret
from iot_system.adapters.tls.contexts import TlsContexts, client_contexts, file_of, pair_of
from iot_system.ending import ended
from iot_system.errors import Unavailable, reason_of
from iot_system.settings import BrokerSettings

__all__ = ["Client", "connect"]

FIRST_CONNECTION_TIMEOUT_S = 5.0
LEAVE_TIMEOUT_S = 1.0
PING_S = 3
"""A server that has not answered for three times as long is given up."""
log = structlog.get_logger()
PENDING_BYTES = 32 * 1024 * 1024
"""The bound of what waits for the socket while the broker is away; over it, publishing fails."""


_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def inbox_of(user: str | None) -> str:
    """Where replies for a user go: below it no other may listen, see `iot_system.adapters.nats.permissions`."""
    return f"_INBOX.{user}" if user and _TOKEN.fullmatch(user) else "_INBOX"


class _Client(Client):
    """Gives a connection up at once that does not work, and comes back whatever the server says."""

    async def _process_op_err(self, e: Exception) -> None:
        """No farewell: asyncio would wait 30 s for that of a server that stands still, or is out of reach, with TLS."""
        transport = self._transport
        is_left = self.is_closed or self.is_reconnecting
        if isinstance(transport, TcpTransport) and transport._io_writer is not None and not is_left:
            transport._io_writer.transport.abort()
        await super()._process_op_err(e)

    async def _process_err(self, err_msg: str) -> None:
        if AUTHORIZATION_VIOLATION in err_msg and self.is_connected:
            # Its password may have changed on both sides, on this one later. nats-py itself would close for good.
            await self._process_op_err(nats.errors.AuthorizationError())
        else:
            await super()._process_err(err_msg)


class _EncryptedClient(_Client):
    """Each connection has the newest certificates, and says nothing to a server that offers no TLS.

    nats-py itself would go on without, password and all, where whoever answers does not ask for it.
    """

    def __init__(self, contexts: TlsContexts) -> None:
        super().__init__()
        self._contexts = contexts

    @property
    def ssl_context(self) -> ssl.SSLContext:
        return self._contexts.current

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and not info.get("tls_required"):
            raise nats.errors.Error("it offers no TLS, and NATS_URL asks for it")
        await super()._process_info(info, initial_connection)


def _client(settings: BrokerSettings) -> Client:
    if not settings.is_encrypted:
        return _Client()
    tls = settings.tls
    pair = pair_of("NATS_TLS", tls.certificate, tls.key)
    return _EncryptedClient(client_contexts(file_of("NATS_TLS_CA", tls.ca), pair))


async def connect(settings: BrokerSettings, *, name: str) -> Client:
    """Connect, and reconnect for ever afterwards.

    Raises `Unavailable` where no server answers now, `InvalidSetting` for files that cannot be used.
    """

    async def on_disconnect() -> None:
        log.warning("broker connection lost", broker=settings.urls)

    async def on_reconnect() -> None:
        log.info("broker connection is back", broker=settings.urls)

    async def on_error(error: Exception) -> None:
        tell = log.error if "permissions violation" in str(error).lower() else log.debug
        tell("broker error", error=repr(error))

    password = secret(settings.password, "NATS_PASSWORD_FILE", settings.password_file)
    client = _client(settings)
    async with AsyncExitStack() as unless_connected:  # also where the caller is cancelled meanwhile
        unless_connected.push_async_callback(disconnect, client)
        # The client itself would try for ever, the first time too, and say nothing.
        connecting = asyncio.create_task(
            client.connect(
                settings.urls.split(","),
                name=name,
                user=settings.user,
                password=password,
                inbox_prefix=inbox_of(settings.user),
                connect_timeout=2,
                ping_interval=PING_S,
                max_outstanding_pings=2,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds, fractions too
                max_reconnect_attempts=-1,
                pending_size=PENDING_BYTES,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnect,
                error_cb=on_error,
            )
        )
        try:
            await asyncio.wait([connecting], timeout=FIRST_CONNECTION_TIMEOUT_S)
        finally:
            connecting.cancel()
            await ended([connecting])
        try:
            connecting.result()
        except (OSError, TimeoutError, asyncio.CancelledError, nats.errors.Error) as error:
            reason = reason_of(client.last_error or (TimeoutError() if connecting.cancelled() else error))
            raise Unavailable(f"the broker at {settings.urls} does not answer: {reason}") from error
        unless_connected.pop_all()
    return client


async def disconnect(client: Client) -> None:
    """Leave for good. Where the broker is away, what waits for it is given up; the client fails to send it."""
    try:
        async with asyncio.timeout(LEAVE_TIMEOUT_S):
            await client.close()
    except (OSError, TimeoutError, nats.errors.Error) as error:
        log.warning("left without the broker", error=repr(error))
