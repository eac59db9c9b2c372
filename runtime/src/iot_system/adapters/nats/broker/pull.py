"""Messages from a pull consumer, asked for in advance; notices when its heartbeats stop."""

from __future__ import annotations

import asyncio
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

    @property
    def is_open(self) -> bool:
        return self._inbox is not None

    async def open(self, consumer: str) -> None:
        """Raises an error of NATS."""
        self._consumer = consumer
        self._requested = 0
        self._arrived.clear()
        self._inbox = await self._client.subscribe(
            self._client.new_inbox(), cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def take(self, limit: int, *, ahead: int, until_s: float) -> list[Msg]:
        """Up to ``limit`` messages as soon as there is one, none after ``until_s`` of the loop's time.

        At most ``ahead`` messages, those returned too, and `PULL_BYTES`, are on their way. Raises an error of NATS or
        `TimeoutError` where the consumer is gone.
        """
        loop = asyncio.get_running_loop()
        while True:
            messages = self._take_arrived(limit)
            out = self._requested + len(messages)
            if out <= ahead // 2:
                await self._request(ahead - out)
            if messages or loop.time() >= until_s:
                return messages
            self._has_arrived.clear()
            try:
                async with asyncio.timeout_at(min(until_s, self._heard_s + PATIENCE_S)):
                    await self._has_arrived.wait()
            except TimeoutError:
                if loop.time() >= self._heard_s + PATIENCE_S:
                    raise

    async def close(self) -> list[Msg]:
        """Take no more; returns what has arrived and was not taken."""
        inbox, self._inbox = self._inbox, None
        left = [message for message in self._arrived if message.reply.startswith("$JS.ACK")]
        self._arrived.clear()
        if inbox is not None:
            try:
                await inbox.unsubscribe()
            except nats.errors.Error:
                return left  # the connection is closed, and the subscription with it
        return left

    def _take_arrived(self, limit: int) -> list[Msg]:
        messages: list[Msg] = []
        while self._arrived and len(messages) < limit:
            message = self._arrived.popleft()
            if message.reply.startswith("$JS.ACK"):
                self._requested = max(0, self._requested - 1)
                messages.append(message)
            else:
                self._on_status(message.headers or {})
        return messages

    def _on_status(self, headers: Mapping[str, str]) -> None:
        """A request that ran out or met a limit is over; anything else means that the consumer is gone."""
        status, description = headers.get("Status"), headers.get("Description", "")
        if status in ("404", "408") or (status == "409" and "MaxBytes" in description):
            self._requested = 0
        elif status == "503" or (status == "409" and "Batch Completed" not in description):
            raise nats.errors.Error(description or "the consumer is gone")

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

    async def _on_message(self, message: Msg) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self._arrived.append(message)
        self._has_arrived.set()
