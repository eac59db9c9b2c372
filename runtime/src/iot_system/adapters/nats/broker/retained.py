"""The retained messages, in JetStream: the last per subject is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from nats.aio.client import Client

from iot_system.adapters.nats.broker import lookup
from iot_system.adapters.nats.broker.appending import Addition, Appender, WrongLastSequence
from iot_system.adapters.nats.broker.log import Entry, LogReader
from iot_system.adapters.nats.broker.messages import StoredReader
from iot_system.adapters.nats.broker.streams import RETAINED, RETAINED_SUBJECT, TIMEOUT_S
from iot_system.adapters.nats.broker.subjects import cover, subject_of
from iot_system.errors import Overloaded, Unavailable
from iot_system.ports.broker import Message, Stored
from iot_system.ports.clock import Clock

FORGOTTEN_TTL_S = 60
"""How long it is remembered that a topic's message was cleared: an older one may still be on its way."""
ATTEMPTS = 16


class _Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``sequence`` is that of the message in the log: the newest there wins, whoever writes last here."""

    sequence: int
    message: Message


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class NatsRetained:
    """Implements `iot_system.ports.broker.Retained`."""

    def __init__(self, client: Client, appender: Appender, clock: Clock) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=TIMEOUT_S)
        self._appender = appender
        self._clock = clock

    async def put(self, stored: Stored) -> None:
        """See `iot_system.ports.broker.Retained.put`."""
        subject = f"{RETAINED_SUBJECT}.{subject_of(stored.message.topic)}"
        ttl_s = self._ttl_s(stored.message)
        for _ in range(ATTEMPTS):
            found = await lookup.newest(self._jetstream, RETAINED, subject)
            if found is not None and _decode(found.data or b"").sequence >= stored.sequence:
                return
            revision = 0 if found is None else found.seq
            headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
            if ttl_s is not None:
                headers["Nats-TTL"] = f"{ttl_s}s"
            try:
                await self._appender.append(Addition(subject, _encode(_Kept(stored.sequence, stored.message)), headers))
            except WrongLastSequence:
                continue
            except Overloaded:
                if stored.message.payload:
                    raise
            return
        raise Unavailable(f"others change the retained message of {stored.message.topic[:100]!r} all the time")

    async def get(self, sequences: Sequence[int]) -> list[Stored | None]:
        """See `iot_system.ports.broker.Retained.get`."""
        found = await asyncio.gather(*(lookup.by_sequence(self._jetstream, RETAINED, one) for one in sequences))
        return [None if one is None else _stored(one.data or b"", one.seq or 0) for one in found]

    async def of(self, topic: str) -> Stored | None:
        """See `iot_system.ports.broker.Retained.of`."""
        found = await lookup.newest(self._jetstream, RETAINED, f"{RETAINED_SUBJECT}.{subject_of(topic)}")
        stored = None if found is None else _stored(found.data or b"", found.seq or 0)
        return stored if stored is not None and stored.message.payload else None

    def read(self, filters: Sequence[str], *, after: int) -> StoredReader:
        """See `iot_system.ports.broker.Retained.read`."""
        subjects = [f"{RETAINED_SUBJECT}.{one}" for one in cover(filters)]
        return StoredReader(LogReader(self._client, RETAINED, subjects, after=after), _read)

    def _ttl_s(self, message: Message) -> int | None:
        """How long the broker keeps it, in whole seconds; None: for good."""
        if not message.payload:
            return FORGOTTEN_TTL_S
        if message.expires_us is None:
            return None
        return max(1, -((self._clock.now_us() - message.expires_us) // 1_000_000))


def _read(entry: Entry) -> Stored:
    return _stored(entry.data, entry.sequence)


def _stored(data: bytes, sequence: int) -> Stored:
    kept = _decode(data)
    return Stored(kept.sequence, kept.message, sequence)
