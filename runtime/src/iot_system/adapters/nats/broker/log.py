"""Reads a stream in the order of its sequences, and notices by itself when one message is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from iot_system.adapters.nats.broker.pull import Pull
from iot_system.adapters.nats.broker.streams import TIMEOUT_S
from iot_system.errors import Unavailable, reason_of
from iot_system.ports.stream import StreamLost

BATCH = 512
INACTIVE_S = 30.0


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One message as it stands in a stream."""

    subject: str
    sequence: int
    data: bytes
    headers: Mapping[str, str] | None


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """What a consumer says of a message in its reply subject; ``number`` counts its deliveries."""

    sequence: int
    number: int
    pending: int


def parse_reply(reply: str) -> Delivered:
    """Read ``$JS.ACK.…``: in nine tokens, or with domain and account in more."""
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7
    return Delivered(int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 3]))


class LogReader:
    """Gives what lies behind ``after`` in ``stream`` under ``subjects``, from any number of ephemeral consumers.

    A consumer numbers what it delivers without gaps, so a jump means that something was lost on the way; another one is
    then made behind the last message read, the same when the heartbeats stop.

    Who tells where the stream ends may be behind, as a server that stood still and does not know yet that others lead.
    ``append`` adds something to it, of which a majority says where it is; without it, the end that is told counts.
    """

    def __init__(
        self,
        client: Client,
        stream: str,
        subjects: Sequence[str],
        *,
        after: int,
        headers_only: bool = False,
        append: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._jetstream = client.jetstream(timeout=TIMEOUT_S)
        self._pull = Pull(client, stream)
        self._stream = stream
        self._subjects = list(subjects)
        self._headers_only = headers_only
        self._append = append
        self._after = after
        self._consumer = ""
        self._number = 0
        self.is_at_end = False
        """Whether all was read that there was when it was first opened, and no more was known to wait since."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def fetch(self, limit: int, *, wait_s: float) -> list[Entry]:
        """At least one message as soon as there is one; none after ``wait_s``, or where the first look finds the end.

        Raises `Unavailable` where it could not mend itself (it may be called again), `StreamLost` where the stream ends
        before what was read.
        """
        until_s = asyncio.get_running_loop().time() + wait_s
        try:
            if not self._pull.is_open:
                was_at_end = self.is_at_end
                await self._open()
                if self.is_at_end and not was_at_end:
                    return []
            messages = await self._pull.take(limit, ahead=BATCH, until_s=until_s)
            entries, is_last = [], False
            for message in messages:
                delivered = parse_reply(message.reply)
                self._number += 1
                if delivered.number != self._number:
                    raise nats.errors.Error(f"delivery {delivered.number} came where {self._number} was due")
                entries.append(Entry(message.subject, delivered.sequence, message.data, message.headers))
                is_last = delivered.pending == 0
            if not entries and not self.is_at_end:
                is_last = await self._has_nothing_left()
        except (nats.errors.Error, TimeoutError, OSError) as error:
            await self._close()
            raise Unavailable(f"stream {self._stream} cannot be read: {reason_of(error)}") from error
        if entries:
            self._after = entries[-1].sequence
        self.is_at_end = self.is_at_end or is_last
        return entries

    async def _has_nothing_left(self) -> bool:
        """What was counted when the consumer was made may have gone since: too old, replaced, deleted."""
        info = await self._jetstream.consumer_info(self._stream, self._consumer)
        assert info.delivered is not None
        return not info.num_pending and info.delivered.consumer_seq == self._number

    async def _open(self) -> None:
        end = (await self._jetstream.stream_info(self._stream)).state.last_seq
        if end < self._after and (self._append is None or await self._append() <= self._after):
            raise StreamLost(f"stream {self._stream} ends at {end}, but {self._after} was read")
        info = await self._jetstream.add_consumer(
            self._stream,
            ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._after + 1,
                filter_subjects=self._subjects,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=INACTIVE_S,
                headers_only=self._headers_only,
                num_replicas=1,
                mem_storage=True,
                max_waiting=16,
            ),
        )
        self._consumer = info.name
        self._number = 0
        self.is_at_end = self.is_at_end or not info.num_pending
        await self._pull.open(info.name)

    async def _close(self) -> None:
        if not self._pull.is_open:
            return
        await self._pull.close()
        try:
            async with asyncio.timeout(1.0):
                await self._jetstream.delete_consumer(self._stream, self._consumer)
        except (nats.errors.Error, TimeoutError, OSError):
            return  # the broker forgets it after INACTIVE_S


async def read_to_end(
    client: Client, stream: str, subjects: Sequence[str], *, headers_only: bool = False
) -> list[Entry]:
    """Everything that is there now. Raises `Unavailable`."""
    entries: list[Entry] = []
    async with LogReader(client, stream, subjects, after=0, headers_only=headers_only) as reader:
        while not reader.is_at_end:
            entries += await reader.fetch(BATCH, wait_s=1.0)
    return entries
