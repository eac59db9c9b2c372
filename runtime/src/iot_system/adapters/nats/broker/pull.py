"""Messages from a pull consumer, asked for in advance; notices when its heartbeats stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

PULL_BYTES = 8 << 20
PULL_EXPIRES_S = 20.0
HEARTBEAT_S = 2.0
DRAIN_TIMEOUT_S = 1.0
PATIENCE_S = 2.5 * HEARTBEAT_S


class Pull:
    """From `open` to `close`; after an error of NATS it is to be closed, and may be opened again."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._consumer = ""
        self._inbox: Subscription | None = None
        self._arrived: deque[Msg] = deque()
        self._has_arrived = asyncio.Event()
        self._requested = 0
        self._heard_s = 0.0
        self._failure: str | None = None
        self._draining: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._inbox is not None

    async def open(self, consumer: str) -> None:
        """Raises an error of NATS."""
        self._consumer = consumer
        self._requested = 0
        self._failure = None
        self._arrived.clear()
        self._inbox = await self._client.subscribe(
            self._client.new_inbox(), cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def take(self, limit: int, *, ahead: int, until_s: float) -> list[Msg]:
        """Up to ``limit`` messages as soon as there is one, none after ``until_s`` of the loop's time.

        At most ``ahead`` messages, and `PULL_BYTES`, are on their way. Raises an error of NATS or
        `TimeoutError` where the consumer is gone.
        """
        loop = asyncio.get_running_loop()
        while True:
            out = self._requested + len(self._arrived)
            if out <= ahead // 2:
                await self._request(ahead - out)
            # Nothing is awaited from here on: a cancelled call takes nothing.
            messages = [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]
            if not messages and self._failure is not None:
                raise nats.errors.Error(self._failure)
            if messages or loop.time() >= until_s:
                return messages
            self._has_arrived.clear()
            try:
                async with asyncio.timeout_at(min(until_s, self._heard_s + PATIENCE_S)):
                    await self._has_arrived.wait()
            except TimeoutError:
                if loop.time() >= self._heard_s + PATIENCE_S:
                    raise

    async def close(self) -> None:
        """Take no more; what is on its way is dropped."""
        inbox, self._inbox = self._inbox, None
        self._arrived.clear()
        if inbox is not None:
            with contextlib.suppress(nats.errors.Error):  # a subscription ends with its connection
                await inbox.unsubscribe()

    async def drain(self) -> list[Msg]:
        """Take no more; returns what has arrived, or was on its way, and was not taken."""
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            # Not cancelled in any case: the client would stumble over the broker's late answer, and read no more.
            self._draining = asyncio.create_task(_drain(inbox))
            await asyncio.wait([self._draining], timeout=DRAIN_TIMEOUT_S)
        left = list(self._arrived)
        self._arrived.clear()
        return left

    async def _on_message(self, message: Msg) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        if message.reply.startswith("$JS.ACK"):
            self._requested = max(0, self._requested - 1)
            self._arrived.append(message)
        else:
            self._on_status(message.headers or {})
        self._has_arrived.set()

    def _on_status(self, headers: Mapping[str, str]) -> None:
        """A request that ran out or met a limit is over; anything else means that the consumer is gone."""
        status, description = headers.get("Status"), headers.get("Description", "")
        if status in ("404", "408") or (status == "409" and "MaxBytes" in description):
            self._requested = 0
        elif status == "503" or (status == "409" and "Batch Completed" not in description):
            self._failure = description or "the consumer is gone"

    async def _request(self, count: int) -> None:
        assert self._inbox is not None
        request = {
            "batch": count,
            "max_bytes": PULL_BYTES,
            "expires": int(PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._client.publish(subject, msgspec.json.encode(request), reply=self._inbox.subject)
        self._requested += count
        self._heard_s = asyncio.get_running_loop().time()


async def _drain(inbox: Subscription) -> None:
    with contextlib.suppress(nats.errors.Error, TimeoutError):  # a subscription ends with its connection
        await inbox.drain()  # type: ignore[no-untyped-call]
