"""What API processes say to each other, by core NATS: who has a session now."""

from __future__ import annotations

import asyncio

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from iot_system.adapters.nats.hearing import was_said
from iot_system.errors import IotError
from iot_system.ports.broker import Release

RELEASE = "iot.gateway.{}.sessions"
log = structlog.get_logger()


class _Request(msgspec.Struct, frozen=True, array_like=True):
    key: str
    is_new: bool


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(_Request).decode
_decode_answer = msgspec.msgpack.Decoder(bool).decode


class NatsColleagues:
    """Implements `iot_system.ports.broker.Colleagues`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answering: set[asyncio.Task[None]] = set()

    async def release(self, gateway: str, key: str, *, is_new: bool, timeout_s: float) -> bool:
        """See `iot_system.ports.broker.Colleagues.release`."""
        data = _encode(_Request(key, is_new))
        try:
            reply = await self._client.request(RELEASE.format(gateway), data, timeout=timeout_s)
        except (nats.errors.Error, TimeoutError) as error:
            log.info("a gateway did not give a session up", gateway=gateway, error=repr(error))
            return False
        return _decode_answer(reply.data)

    async def serve_release(self, gateway: str, release: Release) -> None:
        """See `iot_system.ports.broker.Colleagues.serve_release`."""

        subject = RELEASE.format(gateway)

        async def on_request(message: Msg) -> None:
            if not was_said(message, subject):
                return
            # A task each: one that waits for the broker must not hold up the next one.
            task = asyncio.create_task(_answer(message, release))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

        await self._client.subscribe(subject, cb=on_request)


async def _answer(message: Msg, release: Release) -> None:
    request = _decode_request(message.data)
    try:
        await message.respond(_encode(await release(request.key, request.is_new)))
    except (nats.errors.Error, IotError) as error:
        log.warning("a session could not be given up", error=repr(error))
