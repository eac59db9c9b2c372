"""Frames of several partitions leave in one broker message: what gathers while one is in flight goes together."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat
from typing import NamedTuple
from uuid import uuid4

from iot_system.domain.bundles import BUNDLE_BYTES, bundle_of
from iot_system.errors import TooLarge, Unavailable
from iot_system.ports.stream import ANSWER_S, Stream

PUBLISH_FOR_S = 15.0
"""How long a message is tried again before its senders hear that it is not stored."""
RETRY_S = 0.2
ANSWERS_S = (0.5, 1.0, ANSWER_S)
"""How long an answer to each attempt is waited for. What is on its way while a leader hands over, or a connection is
made anew, gets none, so the next attempt comes soon. Ever longer: a broker that is only slow must not get everything
again and again."""


class _Waiting(NamedTuple):
    data: bytes
    stored: asyncio.Future[None]


class Bundling:
    """One broker message in flight for the partitions that share bundles. No partition waits for two frames at once."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: dict[int, dict[int, _Waiting]] = {}
        self._in_flight: dict[int, dict[int, _Waiting]] = {}
        self._sending: dict[int, asyncio.Task[None]] = {}

    @property
    def frame_limit(self) -> int:
        """The largest frame in bytes."""
        return self._stream.frame_limit

    async def publish(self, partition: int, data: bytes) -> None:
        """Return once ``data`` is durable.

        Raises `TooLarge` where it can never be, `Overloaded` where the stream is full, `Unavailable` where the broker
        stays away: then it may have become durable all the same.
        """
        if len(data) > self._stream.frame_limit:
            raise TooLarge(f"a message has {len(data)} bytes; the limit is {self._stream.frame_limit}")
        number = bundle_of(partition)
        stored = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(number, {})[partition] = _Waiting(data, stored)
        if number not in self._sending:
            # A task of its own: what else is ready now comes along.
            self._sending[number] = asyncio.create_task(self._send_all(number))
        try:
            await stored
        except asyncio.CancelledError:
            everybody = (*self._in_flight.get(number, {}).values(), *self._waiting[number].values())
            if number in self._sending and all(one.stored.done() for one in everybody):
                self._sending[number].cancel()
            raise

    async def _send_all(self, number: int) -> None:
        waiting = self._waiting[number]
        try:
            while waiting:
                sending = self._in_flight[number] = self._next(waiting)
                problem: Exception | None = None
                try:
                    await self._publish({partition: one.data for partition, one in sending.items()})
                except Exception as error:  # noqa: BLE001  # theirs who wait
                    problem = error
                for one in sending.values():
                    _tell(one, problem)
        finally:
            waiting.clear()
            self._in_flight.pop(number, None)
            del self._sending[number]

    def _next(self, waiting: dict[int, _Waiting]) -> dict[int, _Waiting]:
        """Those that make the next message."""
        room = self._stream.frame_limit - BUNDLE_BYTES
        taken: dict[int, _Waiting] = {}
        for partition, one in waiting.items():
            room -= BUNDLE_BYTES + len(one.data)
            if taken and room < 0:
                break
            taken[partition] = one
        for partition in taken:
            del waiting[partition]
        return taken

    async def _publish(self, frames: dict[int, bytes]) -> None:
        message_id = uuid4().hex
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PUBLISH_FOR_S
        for answer_s in chain(ANSWERS_S, repeat(ANSWERS_S[-1])):
            try:
                await self._append(frames, message_id, answer_s)
            except Unavailable:
                if loop.time() + RETRY_S > deadline:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _append(self, frames: dict[int, bytes], message_id: str, answer_s: float) -> None:
        if len(frames) > 1:
            await self._stream.publish_bundle(frames, message_id=message_id, answer_s=answer_s)
        else:
            for partition, data in frames.items():
                await self._stream.publish(partition, data, message_id=message_id, answer_s=answer_s)


def _tell(waiting: _Waiting, problem: Exception | None) -> None:
    if waiting.stored.done():  # whoever waited has gone
        return
    if problem is None:
        waiting.stored.set_result(None)
    else:
        waiting.stored.set_exception(problem)
