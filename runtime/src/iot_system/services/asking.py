"""Typed questions to the actor system, over the request-reply port."""

from __future__ import annotations

import contextlib
from typing import TypeVar

import msgspec

from iot_system import errors
from iot_system.domain.ids import partition_of
from iot_system.domain.questions import Answer, GetAccess, GetDevice, GetRoom, Question, Refusal
from iot_system.domain.registry import DeviceAccess, Page
from iot_system.errors import IotError, TooLarge, Unavailable
from iot_system.ports.requests import Requests

ASK_TIMEOUT_S = 5.0
LOOKS = (GetAccess, GetDevice, GetRoom)
"""What the owner is asked for often, and changes nothing: where it gets lost it is asked again within the same time."""
LOST_AFTER_S = (0.5, 1.0)
"""A question is lost on a connection that breaks, and at an owner that gives its partition up while nobody has it."""
T = TypeVar("T")
_decode: msgspec.msgpack.Decoder[Answer | Refusal] = msgspec.msgpack.Decoder(Answer | Refusal)
_encode = msgspec.msgpack.Encoder().encode


class Asking:
    """Asks the owner of an id, or any shard, and gives the typed answer."""

    def __init__(self, requests: Requests, partitions: int) -> None:
        self._requests = requests
        self._partitions = partitions

    def partition_of(self, id_: str) -> int:
        """The partition that owns ``id_``."""
        return partition_of(id_, self._partitions)

    async def ask_owner(self, id_: str, question: Question, result: type[T]) -> T:
        """Ask whoever owns the device or room ``id_``."""
        return await self.ask(self.partition_of(id_), question, result)

    async def ask(self, partition: int | None, question: Question, result: type[T]) -> T:
        """Raises what the other side raised, or `Unavailable` without an answer in time."""
        data = await self._answer(partition, question)
        try:
            answer = _decode.decode(data)
            if isinstance(answer, Answer):
                return msgspec.msgpack.decode(answer.result, type=result)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"the actor system's answer cannot be read, its version may differ: {error}") from error
        raise error_of(answer)

    async def _answer(self, partition: int | None, question: Question) -> bytes:
        data, left_s = _encode(question), ASK_TIMEOUT_S
        for timeout_s in LOST_AFTER_S if isinstance(question, LOOKS) else ():
            with contextlib.suppress(Unavailable):
                return await self._requests.ask(partition, data, timeout_s=timeout_s)
            left_s -= timeout_s
        return await self._requests.ask(partition, data, timeout_s=left_s)

    async def ask_page(self, partition: int | None, question: Question, item: type) -> Page:
        """As `ask`, for a page of ``item``."""
        page = await self.ask(partition, question, Page)
        return Page(items=msgspec.convert(page.items, list[item]), cursor=page.cursor)  # type: ignore[valid-type]

    async def access(self, partition: int, ids: list[str]) -> list[DeviceAccess]:
        """Who these devices of one partition are, those that are registered; asked in parts where it is too much."""
        try:
            return await self.ask(partition, GetAccess(ids), list[DeviceAccess])
        except TooLarge:
            if len(ids) == 1:
                raise
        half = len(ids) // 2
        return [*await self.access(partition, ids[:half]), *await self.access(partition, ids[half:])]


def answer(result: object) -> bytes:
    """Encode a result."""
    return _encode(Answer(msgspec.Raw(_encode(result))))


def refuse(error: IotError) -> bytes:
    """Encode an error, so that `Asking.ask` raises it again."""
    return _encode(refusal_of(error))


def refusal_of(error: IotError) -> Refusal:
    """An error as it travels."""
    after_s = error.after_s if isinstance(error, errors.Retry) else 1.0
    return Refusal(type(error).__name__, str(error), after_s)


def error_of(refusal: Refusal) -> IotError:
    """The error that travelled, to be raised again."""
    kind = getattr(errors, refusal.error, errors.Unavailable)
    if issubclass(kind, errors.Retry):
        return kind(refusal.message, after_s=refusal.after_s)
    if issubclass(kind, errors.Fenced):  # whoever answered is no owner any more
        return errors.Unavailable(refusal.message)
    error: IotError = kind(refusal.message)
    return error
