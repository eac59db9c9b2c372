"""The log of messages, in JetStream: a subject per topic, the oldest go first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from iot_system.adapters.nats.broker import lookup
from iot_system.adapters.nats.broker.appending import Addition, Appender
from iot_system.adapters.nats.broker.groups import NatsGroup, delete_group
from iot_system.adapters.nats.broker.log import Entry, LogReader
from iot_system.adapters.nats.broker.streams import MESSAGES, MESSAGES_SUBJECT, TIMEOUT_S
from iot_system.adapters.nats.broker.subjects import cover, is_covered, subject_of, subjects_of
from iot_system.errors import IotError, Unavailable, reason_of
from iot_system.ports.broker import Group, Message, Stored

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode
_PROBE = Message("$end", b"", 1)
"""No client may subscribe to its topic."""


class NatsMessages:
    """Implements `iot_system.ports.broker.Messages`."""

    def __init__(self, client: Client, appender: Appender) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=TIMEOUT_S)
        self._appender = appender

    async def publish(self, messages: Sequence[Message]) -> list[int | IotError]:
        """See `iot_system.ports.broker.Messages.publish`."""
        return await self._appender.append_all(
            [
                Addition(
                    f"{MESSAGES_SUBJECT}.{subject_of(one.topic)}",
                    _encode(one),
                    {"Nats-Msg-Id": one.id} if one.id else None,
                )
                for one in messages
            ]
        )

    async def last(self) -> int:
        """See `iot_system.ports.broker.Messages.last`."""
        try:
            return int((await self._jetstream.stream_info(MESSAGES)).state.last_seq)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"stream {MESSAGES} does not answer: {reason_of(error)}") from error

    async def get(self, sequences: Sequence[int]) -> list[Stored | None]:
        """See `iot_system.ports.broker.Messages.get`."""
        found = await asyncio.gather(*(lookup.by_sequence(self._jetstream, MESSAGES, one) for one in sequences))
        return [None if one is None else Stored(one.seq or 0, _decode(one.data or b"")) for one in found]

    def read(self, filters: Sequence[str], *, after: int) -> StoredReader:
        """See `iot_system.ports.broker.Messages.read`."""
        subjects = [f"{MESSAGES_SUBJECT}.{one}" for one in cover(filters)]
        return StoredReader(LogReader(self._client, MESSAGES, subjects, after=after, append=self._append_probe), _read)

    async def _append_probe(self) -> int:
        """Add a message that nobody gets; returns its sequence. Raises `Unavailable`."""
        (sequence,) = await self.publish([_PROBE])
        if isinstance(sequence, IotError):
            raise Unavailable(f"stream {MESSAGES} does not tell where it ends: {sequence}") from sequence
        return sequence

    def uncovered(self, filters: Sequence[str], by: Sequence[str]) -> list[str]:
        """See `iot_system.ports.broker.Messages.uncovered`."""
        covering = cover(by)
        return [one for one in filters if not all(is_covered(subject, covering) for subject in subjects_of(one))]

    async def join(self, group: str, filter_: str, *, after: int) -> Group:
        """See `iot_system.ports.broker.Messages.join`."""
        joined = NatsGroup(self._client, group, filter_, after=after)
        await joined.open()
        return joined

    async def delete_group(self, key: str) -> None:
        """See `iot_system.ports.broker.Messages.delete_group`."""
        await delete_group(self._jetstream, key)


class StoredReader:
    """Implements `iot_system.ports.broker.MessageReader`."""

    def __init__(self, log: LogReader, read: Callable[[Entry], Stored]) -> None:
        self._log = log
        self._read = read

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._log.__aexit__(kind, error, trace)

    async def fetch(self, limit: int, *, wait_s: float) -> list[Stored]:
        """See `iot_system.ports.broker.MessageReader.fetch`."""
        return [self._read(entry) for entry in await self._log.fetch(limit, wait_s=wait_s)]

    @property
    def is_at_end(self) -> bool:
        """See `iot_system.ports.broker.MessageReader.is_at_end`."""
        return self._log.is_at_end


def _read(entry: Entry) -> Stored:
    return Stored(entry.sequence, _decode(entry.data))
