"""Telemetry in: durable when a call returns, in order per device, and a re-send is recognised."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from iot_system.client.problems import Rejection, error_of_item, problem_of
from iot_system.client.rest import NDJSON, Rest, checked, decoded
from iot_system.domain.readings import Value
from iot_system.errors import IotError, Retry

BATCH_MESSAGES = 2_000
BATCH_BYTES = 2 << 20
"""Of one request, the first of both that is reached; a request may bear 5 MiB."""
RECOGNISED = 32
"""Ids that the system remembers of a device: no more of its messages that only their ids tell apart are on the way."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Values of a device at one moment, by metric. ``ts`` is in milliseconds since 1970, by default when it arrives.

    A re-send is recognised by ``ts``, by ``id``, or by ``seq`` (grows within one ``boot``).
    """

    device: str
    values: Mapping[str, Value]
    ts: float | None = None
    seq: int | None = None
    boot: str | None = None
    id: str | None = None


class Refused(msgspec.Struct, frozen=True):
    """A message that the system did not take, its place among those that were sent, and why."""

    index: int
    message: Message
    error: IotError


class Sent(msgspec.Struct, frozen=True):
    """What became of messages: all but the ``refused`` are durable."""

    accepted: int
    refused: list[Refused]


class _Accepted(msgspec.Struct, frozen=True):
    accepted: int
    rejected: list[Rejection] = []


class Telemetry:
    """``IotClient.telemetry``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def send(self, device: str, values: Mapping[str, Value], *, ts: float | None = None) -> None:
        """Store one message of a device. Raises the `IotError` of its refusal."""
        sent = await self.send_many([Message(device=device, values=values, ts=ts)])
        if sent.refused:
            raise sent.refused[0].error

    async def send_many(self, messages: Iterable[Message]) -> Sent:
        """Store messages of many devices, as many in a request as are fit; a bad one harms no other.

        One request after the other, so that order needs no care. What may pass later is sent again until it passes.
        Raises an `IotError` where a request fails as a whole; what was sent before it is durable.
        """
        accepted, refused = 0, list[Refused]()
        for batch in _batches(messages):
            outcome = await self._store(batch)
            accepted += outcome.accepted
            refused += outcome.refused
        return Sent(accepted, refused)

    async def _store(self, waiting: Sequence[tuple[int, Message, bytes]]) -> Sent:
        accepted, refused = 0, list[Refused]()
        while waiting:
            body = b"\n".join(line for _, _, line in waiting)
            response = await self._rest.answer("POST", "/v1/telemetry", body=body, media_type=NDJSON)
            problem = None if response.is_success else problem_of(response)
            if problem is not None and problem.errors:
                rejections = problem.errors
            else:
                rejections = decoded(checked(response), _Accepted).rejected
            bad = {one.line: error_of_item(one) for one in rejections}
            again = []
            for line, item in enumerate(waiting, 1):
                error = bad.get(line)
                if error is None:
                    accepted += 1
                elif isinstance(error, Retry):
                    again.append(item)
                else:
                    refused.append(Refused(item[0], item[1], error))
            waiting = again
        return Sent(accepted, refused)


def recognisable(message: Message) -> Message:
    """The message, with an id where nothing else tells that it is sent again."""
    if message.ts is None and message.seq is None and message.id is None:
        return msgspec.structs.replace(message, id=secrets.token_hex(8))
    return message


def _batches(messages: Iterable[Message]) -> Iterator[list[tuple[int, Message, bytes]]]:
    batch: list[tuple[int, Message, bytes]] = []
    size, by_id = 0, Counter[str]()
    for index, message in enumerate(messages):
        line = msgspec.json.encode(recognisable(message))
        has_id_alone = message.ts is None and message.seq is None
        by_id[message.device] += has_id_alone
        is_full = len(batch) == BATCH_MESSAGES or size + len(line) > BATCH_BYTES
        if batch and (is_full or by_id[message.device] > RECOGNISED):
            yield batch
            batch, size, by_id = [], 0, Counter({message.device: int(has_id_alone)})
        batch.append((index, message, line))
        size += len(line) + 1
    if batch:
        yield batch
