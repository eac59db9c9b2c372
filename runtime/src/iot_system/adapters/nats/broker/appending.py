"""Appends to streams: many on their way at once, each with its answer, sent in the order in which they were given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from iot_system.adapters.nats.answers import IS_FULL, TOO_LARGE, decode_answer
from iot_system.adapters.nats.broker.streams import TIMEOUT_S
from iot_system.errors import IotError, Overloaded, TooLarge, Unavailable, reason_of

_WRONG_LAST_SEQUENCE = frozenset({10071, 10164})


class WrongLastSequence(IotError):
    """The subject's last message is not the one that was expected."""


class Addition(msgspec.Struct, frozen=True, gc=False):
    """What to append where."""

    subject: str
    data: bytes
    headers: dict[str, str] | None = None


class Appender:
    """One inbox for the answers to all that one process appends."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._sending = asyncio.Lock()
        self._count = 0
        self._waiting: dict[int, asyncio.Future[int | IotError]] = {}

    async def start(self) -> None:
        """Raises `Unavailable`."""
        try:
            await self._client.subscribe(
                f"{self._inbox}.*", cb=self._on_answer, pending_msgs_limit=-1, pending_bytes_limit=-1
            )
        except nats.errors.Error as error:
            raise Unavailable(f"the broker takes no subscription: {error}") from error

    async def append(self, addition: Addition) -> int:
        """Returns the sequence. Raises `Overloaded`, `TooLarge`, `Unavailable`, `WrongLastSequence`."""
        result = (await self.append_all([addition]))[0]
        if isinstance(result, IotError):
            raise result
        return result

    async def append_all(self, additions: Sequence[Addition]) -> list[int | IotError]:
        """For each its sequence, once it is durable, or why not; `Unavailable`: it may or may not be there."""
        async with self._sending:
            answers = [await self._send(addition) for addition in additions]
        futures = [one for one in answers if isinstance(one, asyncio.Future)]
        if futures:
            _, late = await asyncio.wait(futures, timeout=TIMEOUT_S)
            for future in late:
                future.set_result(Unavailable(f"the broker did not confirm a message within {TIMEOUT_S:g} s"))
        return [one.result() if isinstance(one, asyncio.Future) else one for one in answers]

    async def _send(self, addition: Addition) -> asyncio.Future[int | IotError] | IotError:
        self._count += 1
        number = self._count
        future: asyncio.Future[int | IotError] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        future.add_done_callback(lambda _: self._waiting.pop(number, None))
        try:
            await self._client.publish(
                addition.subject, addition.data, reply=f"{self._inbox}.{number}", headers=addition.headers
            )
        except nats.errors.MaxPayloadError:
            future.cancel()
            return TooLarge(f"a message has {len(addition.data)} bytes; the limit is {self._client.max_payload}")
        except (nats.errors.Error, OSError) as error:
            future.cancel()
            return Unavailable(f"the broker did not take a message: {reason_of(error)}")
        return future

    async def _on_answer(self, message: Msg) -> None:
        future = self._waiting.get(int(message.subject.rpartition(".")[2]))
        if future is not None and not future.done():
            future.set_result(_read(message))


def _read(message: Msg) -> int | IotError:
    if not message.data:
        return Unavailable("the broker has no such stream at present")
    answer = decode_answer(message.data)
    if answer.error is None:
        return answer.seq
    if answer.error.err_code in _WRONG_LAST_SEQUENCE:
        return WrongLastSequence(answer.error.description)
    if answer.error.err_code in IS_FULL or answer.error.err_code == TOO_LARGE:
        return Overloaded(f"the broker has no room: {answer.error.description}", after_s=5.0)
    return Unavailable(f"the broker refused a message: {answer.error.description}")
