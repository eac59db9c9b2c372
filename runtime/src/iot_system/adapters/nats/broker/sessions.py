"""The records of sessions, in JetStream: one message per session, written over its last revision only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from iot_system.adapters.nats.broker import lookup
from iot_system.adapters.nats.broker.appending import Addition, Appender, WrongLastSequence
from iot_system.adapters.nats.broker.log import Entry, read_to_end
from iot_system.adapters.nats.broker.streams import SESSIONS, SESSIONS_SUBJECT, TIMEOUT_S
from iot_system.errors import Unavailable, reason_of
from iot_system.ports.broker import Found, SessionRecord, SessionTaken, group_key, owner_key

ASK_AT_ONCE = 64
"""Questions under way: when thousands of clients come or go together, they wait here and not for their time-out."""
_GATEWAY = "Iot-Gateway"
_DUE = "Iot-Due"
_GROUPS = "Iot-Groups"
_OWNER = "Iot-Owner"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SessionRecord).decode


class NatsSessions:
    """Implements `iot_system.ports.broker.Sessions`. A revision is the sequence of the record in the stream."""

    def __init__(self, client: Client, appender: Appender) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=TIMEOUT_S)
        self._appender = appender
        self._asking = asyncio.Semaphore(ASK_AT_ONCE)

    async def load(self, key: str) -> tuple[SessionRecord, int] | None:
        """See `iot_system.ports.broker.Sessions.load`."""
        async with self._asking:
            found = await lookup.newest(self._jetstream, SESSIONS, f"{SESSIONS_SUBJECT}.{key}")
        return None if found is None else (_decode(found.data or b""), found.seq or 0)

    async def save(self, record: SessionRecord, revision: int) -> int:
        """See `iot_system.ports.broker.Sessions.save`."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision), **_headers(record)}
        try:
            return await self._appender.append(Addition(f"{SESSIONS_SUBJECT}.{record.key}", _encode(record), headers))
        except WrongLastSequence as error:
            raise SessionTaken(f"the session of {record.client_id[:100]!r} is somewhere else now") from error

    async def delete(self, key: str, revision: int) -> None:
        """See `iot_system.ports.broker.Sessions.delete`: a record written later has another sequence, and stays."""
        try:
            async with self._asking:
                await self._jetstream.delete_msg(SESSIONS, revision)
        except nats.js.errors.APIError as error:
            raise SessionTaken(f"session {key} is somewhere else now: {error.description}") from error
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"stream {SESSIONS} does not answer: {reason_of(error)}") from error

    async def scan(self) -> list[Found]:
        """See `iot_system.ports.broker.Sessions.scan`."""
        subjects = [f"{SESSIONS_SUBJECT}.*"]
        return [_found(one) for one in await read_to_end(self._client, SESSIONS, subjects, headers_only=True)]


def _headers(record: SessionRecord) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    if record.gateway:
        headers[_GATEWAY] = record.gateway
    if record.expiry_s:
        headers[_OWNER] = owner_key(record.owner)
    due = [one for one in (record.ends_us(), record.will_due_us()) if one is not None]
    if due:
        headers[_DUE] = str(min(due))
    if groups := sorted({group_key(one.group, one.filter) for one in record.subscriptions if one.group}):
        headers[_GROUPS] = ",".join(groups)
    return headers


def _found(entry: Entry) -> Found:
    headers = entry.headers or {}
    due, groups = headers.get(_DUE), headers.get(_GROUPS)
    return Found(
        key=entry.subject.rpartition(".")[2],
        revision=entry.sequence,
        gateway=headers.get(_GATEWAY, ""),
        due_us=None if due is None else int(due),
        groups=frozenset(groups.split(",")) if groups else frozenset(),
        owner=headers.get(_OWNER, ""),
    )
