"""Reads partitions in order by an ephemeral pull consumer, and notices by itself when one message is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from iot_system.domain.bundles import bundle_of, decode_bundle, sharing
from iot_system.errors import Unavailable, reason_of
from iot_system.ports.stream import StreamMessage

PULL_EXPIRES_S = 20.0
HEARTBEAT_S = 1.0
INACTIVE_S = 30.0
PULL_BYTES = 16 * 1024 * 1024
BUNDLE = "bundle-"
"""How the last part of a bundle's subject begins, its number follows; that of a frame is its partition."""


class NatsReader:
    """Implements `iot_system.ports.stream.Reader`.

    The consumer keeps no acknowledgements: the positions live in the caller's database. It numbers what it delivers
    without gaps, so a jump means that something was lost on the way (a broken connection), and the consumer is made
    anew from the last position; the same when its heartbeats stop. Each new consumer is followed by ``verify``, because
    positions in another stream mean nothing.
    """

    def __init__(
        self,
        client: Client,
        stream: str,
        subject: str,
        positions: Mapping[int, int],
        *,
        of: int,
        verify: Callable[[], Awaitable[None]],
    ) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=5.0)
        self._stream = stream
        self._subject = subject
        self._positions = dict(positions)
        self._of = of
        self._filters = [f"{subject}.*"] if len(positions) == of else _filters(subject, positions)
        self._verify = verify
        self._inbox: Subscription | None = None
        self._consumer = ""
        self._delivered = 0
        self._requested = 0
        self._heard_s = 0.0
        self.pending = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def fetch(self, limit: int, *, wait_s: float) -> list[StreamMessage]:
        """See `iot_system.ports.stream.Reader.fetch`."""
        deadline = time.monotonic() + wait_s
        messages: list[StreamMessage] = []
        try:
            while len(messages) < limit:
                inbox = self._inbox or await self._open()
                if self._requested < limit // 2 or not self._requested:
                    await self._pull(limit - self._requested)
                if messages and inbox.pending_msgs == 0:
                    break
                message = await self._next(inbox, deadline)
                if message is None:
                    break
                messages += self._take(message)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            await self._close()
            if not messages:
                raise Unavailable(f"the stream cannot be read: {reason_of(error)}") from error
        return messages

    async def _next(self, inbox: Subscription, deadline: float) -> Msg | None:
        """The next delivery; None at the deadline. Raises `TimeoutError` where heartbeats are missing."""
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                return await inbox.next_msg(timeout=min(left_s, HEARTBEAT_S))
            except nats.errors.TimeoutError:
                if time.monotonic() - self._heard_s > 3 * HEARTBEAT_S:
                    raise
        return None

    def _take(self, message: Msg) -> list[StreamMessage]:
        self._heard_s = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is not None and not message.reply.startswith("$JS.ACK"):
            if status in ("404", "408"):  # the pull has run out
                self._requested = 0
            elif status == "409":
                self._on_conflict((message.headers or {}).get("Description", ""))
            return []
        metadata = message.metadata
        self._requested = max(0, self._requested - 1)
        self._delivered += 1
        if metadata.sequence.consumer != self._delivered:
            raise nats.errors.Error(f"delivery {metadata.sequence.consumer} came where {self._delivered} was due")
        self.pending = metadata.num_pending
        sequence, positions = metadata.sequence.stream, self._positions
        partitions = partitions_of(message.subject, self._of)
        fresh = [one for one in partitions if positions.get(one, sequence) < sequence]
        for partition in fresh:
            positions[partition] = sequence
        if not is_bundle(message.subject):
            return [StreamMessage(partition, sequence, message.data) for partition in fresh]
        try:
            frames = decode_bundle(message.data)
        except msgspec.MsgspecError:  # told, and passed over, as a frame that cannot be decoded
            frames = dict.fromkeys(fresh, message.data)
        return [StreamMessage(partition, sequence, frames.get(partition, b"")) for partition in fresh]

    def _on_conflict(self, description: str) -> None:
        """A pull that met a limit is over; anything else (consumer deleted, leader changed) starts anew."""
        if "Batch Completed" in description:  # each of its messages was counted as it came
            return
        if "MaxBytes" not in description:
            raise nats.errors.Error(description or "the consumer is gone")
        self._requested = 0

    async def _pull(self, count: int) -> None:
        request = {
            "batch": count,
            "max_bytes": PULL_BYTES,
            "expires": int(PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        assert self._inbox is not None
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._client.publish(subject, msgspec.json.encode(request), reply=self._inbox.subject)
        self._requested += count
        self._heard_s = time.monotonic()

    async def _open(self) -> Subscription:
        info = await self._jetstream.add_consumer(
            self._stream,
            ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=min(self._positions.values()) + 1,
                filter_subjects=self._filters,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=INACTIVE_S,
                num_replicas=1,
                mem_storage=True,
                max_waiting=16,
            ),
        )
        # Afterwards: a consumer of a stream that is replaced later ends with it.
        await self._verify()
        self._consumer = info.name
        self._delivered = self._requested = 0
        self.pending = info.num_pending or 0
        self._heard_s = time.monotonic()
        self._inbox = await self._client.subscribe(
            self._client.new_inbox(), pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        return self._inbox

    async def _close(self) -> None:
        inbox, self._inbox = self._inbox, None
        if inbox is None:
            return
        try:
            await inbox.unsubscribe()
            async with asyncio.timeout(1.0):
                await self._jetstream.delete_consumer(self._stream, self._consumer)
        except (nats.errors.Error, TimeoutError, OSError):
            return  # the broker forgets it after INACTIVE_S


def is_bundle(subject: str) -> bool:
    """Whether messages with this subject are bundles."""
    return subject.rpartition(".")[2].startswith(BUNDLE)


def partitions_of(subject: str, of: int) -> Sequence[int]:
    """Whose frames a message with this subject may hold."""
    name = subject.rpartition(".")[2]
    if not is_bundle(subject):
        return (int(name),)
    return [partition for partition in sharing(int(name.removeprefix(BUNDLE))) if partition < of]


def _filters(subject: str, partitions: Iterable[int]) -> list[str]:
    names = {str(one): None for one in partitions} | {f"{BUNDLE}{bundle_of(one)}": None for one in partitions}
    return [f"{subject}.{name}" for name in names]
