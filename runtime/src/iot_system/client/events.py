"""Events as they happen, over Server-Sent Events; after a broken connection the stream goes on where it was."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

import httpx
import msgspec

from iot_system.client.problems import SystemFault, error_of
from iot_system.client.records import Event
from iot_system.client.rest import Rest
from iot_system.client.sse import Message, SseParser
from iot_system.errors import Retry, Unavailable, reason_of

SILENCE_S = 45.0
"""The system says something every 15 s; after this the connection is taken for broken."""


class Events:
    """``IotClient.events``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def listen(
        self,
        *,
        devices: Sequence[str] = (),
        rooms: Sequence[str] = (),
        kinds: Sequence[str] = (),
        after: str | None = None,
    ) -> EventStream:
        """Events of these devices, rooms and kinds (none given: all that the token may see), for an ``async with``.

        From now on, or after the event with the id ``after``.
        """
        parameters = {"device": list(devices), "room": list(rooms), "kind": list(kinds)}
        return EventStream(self._rest, parameters, after=after)


class EventStream:
    """An async iterator that ends only with an error; entering returns once the stream is open.

    Raises the `IotError` of a refusal, and `Unavailable` where the stream cannot be opened again in time.
    """

    def __init__(self, rest: Rest, parameters: dict[str, list[str]], *, after: str | None) -> None:
        self._rest = rest
        self._parameters = parameters
        self._parser = SseParser(after or "")
        self._stack = AsyncExitStack()
        self._data: AsyncIterator[bytes] | None = None
        self._waiting: deque[Event] = deque()

    @property
    def last_id(self) -> str | None:
        """The id to resume after, or None before the first."""
        return self._parser.last_id or None

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            try:
                await self._read()
            except httpx.TransportError:
                await self._open()
        return self._waiting.popleft()

    async def _read(self) -> None:
        assert self._data is not None, "not in an async with"
        try:
            data = await anext(self._data)
        except StopAsyncIteration:
            raise httpx.ReadError("the stream has ended") from None
        self._waiting += map(_event, self._parser.feed(data))

    async def _open(self) -> None:
        """Connect, again and again."""
        patience = self._rest.patience()
        while True:
            await self._close()
            advised_s = 0.0
            try:
                await self._connect()
            except httpx.TransportError as error:
                problem = reason_of(error)
            except Retry as error:
                problem, advised_s = str(error), error.after_s
            else:
                return
            if not await patience.pause(problem, at_least_s=advised_s):
                raise Unavailable(f"{self._rest.url} gave no events for {self._rest.patience_s:g} s: {problem}")

    async def _connect(self) -> None:
        headers = {"Accept": "text/event-stream"}
        if self._parser.last_id:
            headers["Last-Event-ID"] = self._parser.last_id
        response = await self._stack.enter_async_context(
            self._rest.stream("/v1/events", parameters=self._parameters, headers=headers, silence_s=SILENCE_S)
        )
        if not response.is_success:
            await response.aread()
            raise error_of(response)
        self._parser = SseParser(self._parser.last_id)  # what came of a message is gone
        self._data = response.aiter_raw()

    async def _close(self) -> None:
        await self._stack.aclose()
        self._data = None


def _event(message: Message) -> Event:
    try:
        body: dict[str, Any] = msgspec.json.decode(message.data, type=dict[str, Any])
        return msgspec.convert({"kind": message.event} | body | {"id": message.id}, Event)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise SystemFault(f"event {message.id} is not as this client knows it: {error}") from error
