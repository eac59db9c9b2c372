"""An MQTT 3.1.1 connection that comes back by itself, and sends again what was not acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from iot_system.client.problems import SystemFault
from iot_system.errors import Forbidden, IotError, Unauthenticated, Unavailable

WINDOW = 200
"""Messages that wait for their PUBACK; further calls wait for their turn."""
REFUSALS = 3
"""A token that was made a moment ago may not be known everywhere yet; one that is refused so often is not valid."""
KEEP_ALIVE_S = 30
TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
_NOT_LET_IN = (134, 135)
"""Bad user name or password, not authorized (as MQTT 5 numbers them, 3.2.2.2); other refusals pass."""
_REFUSED = 0x80
"""In a SUBACK, from here on (3.9.3)."""
T = TypeVar("T")


class Link:
    """``start``, use, ``stop``. All calls raise `Unavailable` where nothing answers for ``patience_s`` seconds.

    ``receive(topic, payload)`` is called with what comes, and returns topic filters that are to be subscribed to again.
    It raises `SystemFault` for what it cannot read, which ends the link, as `Unauthenticated` does.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str,
        user: str,
        password: str,
        tls: ssl.SSLContext | None,
        patience_s: float,
        receive: Callable[[str, bytes], list[str]],
    ) -> None:
        self._host, self._port = host, port
        self._client_id = client_id
        self._user = user
        self._password = password
        self._tls = tls
        self._patience_s = patience_s
        self._receive = receive
        self._filters: set[str] = set()
        self._window = asyncio.Semaphore(WINDOW)
        self._changed = asyncio.Condition()
        self._client: aiomqtt.Client | None = None
        self._problem = "no connection yet"
        self._failure: IotError | None = None
        self._publishing: dict[asyncio.Task[None], None] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once the server lets this client in. Raises `Unauthenticated` where it does not."""
        self._keeper = asyncio.create_task(self._keep())
        await self._connected(time.monotonic() + self._patience_s)

    async def stop(self) -> None:
        """Disconnect. What is not acknowledged is given up."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def publish(self, topic: str, payload: bytes) -> None:
        """Return once the message is acknowledged (QoS 1)."""
        deadline_s = time.monotonic() + self._patience_s
        async with self._window:
            while True:
                client = await self._connected(deadline_s)
                task = asyncio.create_task(client.publish(topic, payload, qos=1, timeout=self._patience_s))
                self._publishing[task] = None
                try:
                    await asyncio.wait([task])
                    if not task.cancelled() and task.exception() is None:
                        return
                finally:
                    task.cancel()
                    del self._publishing[task]

    async def subscribe(self, filter_: str) -> None:
        """Subscribe (QoS 1), now and after each reconnection. Raises `Forbidden`."""
        client = await self._connected(time.monotonic() + self._patience_s)
        with contextlib.suppress(aiomqtt.MqttError):  # then the next connection does it
            await _subscribe(client, filter_)
        self._filters.add(filter_)

    async def next(self, queue: asyncio.Queue[T]) -> T:
        """The next of a queue that ``receive`` fills. Raises what ended the link."""
        assert self._keeper is not None
        getting = asyncio.create_task(queue.get())
        try:
            await asyncio.wait({getting, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
        finally:
            getting.cancel()
        raise self._failure or Unavailable("the connection was closed here")

    async def _connected(self, deadline_s: float) -> aiomqtt.Client:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(deadline_s - time.monotonic(), 0.0)), self._changed:
                await self._changed.wait_for(lambda: self._client or self._failure)
        if self._failure is not None:
            raise self._failure
        if self._client is None:
            raise Unavailable(
                f"MQTT at {self._host}:{self._port} did not answer for {self._patience_s:g} s: {self._problem}"
            )
        return self._client

    async def _keep(self) -> None:
        """Connect, read, and connect again."""
        pause_s, refusals = FIRST_PAUSE_S, 0
        while self._failure is None:
            try:
                async with self._connect() as client:
                    pause_s, refusals = FIRST_PAUSE_S, 0
                    await self._read(client)
            except MqttConnectError as error:
                refusals += getattr(error.rc, "value", error.rc) in _NOT_LET_IN
                self._down(f"the connection was refused: {error}")
                if refusals == REFUSALS:
                    await self._fail(Unauthenticated(f"MQTT at {self._host}:{self._port}: {self._problem}"))
            except aiomqtt.MqttError as error:
                self._down(str(error))
            except (Forbidden, SystemFault) as error:
                self._down(str(error))
                await self._fail(error)
            if self._failure is None:
                await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncIterator[aiomqtt.Client]:
        client = aiomqtt.Client(
            self._host,
            self._port,
            identifier=self._client_id,
            username=self._user,
            password=self._password,
            keepalive=KEEP_ALIVE_S,
            timeout=TIMEOUT_S,
            tls_context=self._tls,
            max_inflight_messages=WINDOW,
        )
        client.pending_calls_threshold = WINDOW  # more than this it would call many
        async with client:
            yield client

    async def _read(self, client: aiomqtt.Client) -> None:
        for filter_ in self._filters:
            await _subscribe(client, filter_)
        async with self._changed:
            self._client, self._problem = client, "connected"
            self._changed.notify_all()
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            for filter_ in self._receive(str(message.topic), message.payload):
                await _subscribe(client, filter_)

    def _down(self, problem: str) -> None:
        """Whoever publishes waits for the next connection."""
        self._client, self._problem = None, problem
        for task in list(self._publishing):
            task.cancel()

    async def _fail(self, error: IotError) -> None:
        async with self._changed:
            self._failure = error
            self._changed.notify_all()


async def _subscribe(client: aiomqtt.Client, filter_: str) -> None:
    """Raises `Forbidden` where the server does not allow it."""
    answers: list[Any] = list(await client.subscribe(filter_, qos=1))
    if any(getattr(one, "value", one) >= _REFUSED for one in answers):
        raise Forbidden(f"{filter_} may not be subscribed to")
