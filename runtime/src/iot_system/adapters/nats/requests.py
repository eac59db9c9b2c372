"""Request-reply, and words that nobody answers, over core NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from iot_system.adapters.nats.hearing import was_said
from iot_system.domain.questions import Refusal
from iot_system.errors import TooLarge, Unavailable, reason_of
from iot_system.ports.requests import Handler

ASK = "iot.ask"
CHANGED = "iot.changed"
GATEWAY = "iot.gateway"
ALIVE = "iot.alive"
LISTENING = "iot.listening"
RETRY_S = 0.05
FLUSH_TIMEOUT_S = 2
log = structlog.get_logger()


class NatsRequests:
    """Implements `iot_system.ports.requests.Requests`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._serving: dict[int | None, Subscription] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def ask(self, partition: int | None, data: bytes, *, timeout_s: float) -> bytes:
        """See `iot_system.ports.requests.Requests.ask`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            try:
                reply = await self._client.request(_subject(partition), data, timeout=max(0.1, deadline - loop.time()))
            except nats.errors.NoRespondersError as error:
                if loop.time() + RETRY_S > deadline:
                    raise Unavailable(f"nobody owns partition {partition} at present") from error
                await asyncio.sleep(RETRY_S)
            except (nats.errors.Error, TimeoutError) as error:
                raise Unavailable(f"the actor system did not answer within {timeout_s:g} s") from error
            else:
                return reply.data

    async def serve(self, partition: int | None, handler: Handler) -> None:
        """See `iot_system.ports.requests.Requests.serve`."""

        async def on_question(message: Msg) -> None:
            # A task each: a question that waits for the store must not hold up the next one.
            task = asyncio.create_task(self._answer(message, handler))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

        if partition not in self._serving:
            queue = "any" if partition is None else ""
            self._serving[partition] = await self._subscribe(_subject(partition), on_question, queue=queue)

    async def unserve(self, partition: int | None) -> None:
        """See `iot_system.ports.requests.Requests.unserve`."""
        subscription = self._serving.pop(partition, None)
        if subscription is not None:
            try:
                await subscription.unsubscribe()
            except nats.errors.Error as error:
                log.warning("could not unsubscribe", partition=partition, error=repr(error))

    async def tell(self, gateway: str, data: bytes) -> None:
        """See `iot_system.ports.requests.Requests.tell`."""
        await self._say(f"{GATEWAY}.{gateway}", data)

    async def on_told(self, gateway: str, callback: Callable[[bytes], None]) -> None:
        """See `iot_system.ports.requests.Requests.on_told`."""
        await self._hear(f"{GATEWAY}.{gateway}", callback)

    async def alive(self, gateway: str) -> None:
        """See `iot_system.ports.requests.Requests.alive`."""
        await self._say(ALIVE, gateway.encode())

    async def on_alive(self, callback: Callable[[str], None]) -> None:
        """See `iot_system.ports.requests.Requests.on_alive`."""
        await self._hear(ALIVE, lambda data: callback(data.decode()))

    async def listening(self) -> None:
        """See `iot_system.ports.requests.Requests.listening`."""
        await self._say(LISTENING, b"")

    async def on_listening(self, callback: Callable[[], None]) -> None:
        """See `iot_system.ports.requests.Requests.on_listening`."""
        await self._hear(LISTENING, lambda _: callback())

    async def announce(self, device: str) -> None:
        """See `iot_system.ports.requests.Requests.announce`."""
        await self._say(CHANGED, device.encode())

    async def on_announcement(self, callback: Callable[[str], None]) -> None:
        """See `iot_system.ports.requests.Requests.on_announcement`."""
        await self._hear(CHANGED, lambda data: callback(data.decode()))

    async def _say(self, subject: str, data: bytes) -> None:
        try:
            await self._client.publish(subject, data)
        except nats.errors.MaxPayloadError as error:
            limit = self._client.max_payload
            raise TooLarge(f"a message has {len(data)} bytes; the broker's limit is {limit}") from error
        except nats.errors.Error as error:
            raise Unavailable(f"the broker took no message: {error}") from error

    async def _hear(self, subject: str, callback: Callable[[bytes], None]) -> None:
        async def on_message(message: Msg) -> None:
            callback(message.data)

        await self._subscribe(subject, on_message)

    async def _subscribe(
        self, subject: str, callback: Callable[[Msg], Awaitable[None]], *, queue: str = ""
    ) -> Subscription:
        """Returns once the broker knows of it, so that nothing is missed from then on."""

        async def on_message(message: Msg) -> None:
            if was_said(message, subject):
                await callback(message)

        try:
            subscription = await self._client.subscribe(subject, queue=queue, cb=on_message)
            try:
                # nats-py writes a PING past what still waits in its buffer: the first PONG only says that it has left.
                for _ in range(2):
                    await self._client.flush(timeout=FLUSH_TIMEOUT_S)
            except (nats.errors.Error, TimeoutError):
                await subscription.unsubscribe()
                raise
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"the broker confirmed no subscription: {reason_of(error)}") from error
        return subscription

    async def _answer(self, message: Msg, handler: Handler) -> None:
        try:
            answer = await handler(message.data)
            if answer is None:
                return
            if len(answer) > self._client.max_payload:
                answer = _too_large(len(answer), self._client.max_payload)
            await message.respond(answer)
        except nats.errors.Error as error:
            log.warning("an answer could not be sent", error=repr(error))


def _too_large(size: int, limit: int) -> bytes:
    """A word instead of silence, which would look like an actor system that is away."""
    log.error("an answer is too large for the broker", bytes=size, limit=limit)
    message = f"the answer has {size} bytes; the broker takes {limit}: ask for less at once"
    return msgspec.msgpack.encode(Refusal(TooLarge.__name__, message))


def _subject(partition: int | None) -> str:
    return f"{ASK}.{'any' if partition is None else partition}"
