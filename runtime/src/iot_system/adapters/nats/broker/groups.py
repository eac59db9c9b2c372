"""Shared subscriptions: one durable pull consumer each, that all processes with members pull from."""

from __future__ import annotations

import asyncio

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from iot_system.adapters.nats.broker.log import parse_reply
from iot_system.adapters.nats.broker.pull import Pull
from iot_system.adapters.nats.broker.streams import MESSAGES, MESSAGES_AGE_S, MESSAGES_SUBJECT, TIMEOUT_S
from iot_system.adapters.nats.broker.subjects import subjects_of
from iot_system.errors import Unavailable, reason_of
from iot_system.ports.broker import GROUP_LIMIT, HOLD_EVERY_S, Message, Shared, Stored, group_key

_decode = msgspec.msgpack.Decoder(Message).decode


class NatsGroup:
    """Implements `iot_system.ports.broker.Group`. A message's token is the subject that settles it.

    The consumer outlives its members for as long as messages are kept: what is older is gone anyway.
    """

    def __init__(self, client: Client, group: str, filter_: str, *, after: int) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=TIMEOUT_S)
        self._pull = Pull(client, MESSAGES)
        self._config = ConsumerConfig(
            durable_name=group_key(group, filter_),
            name=group_key(group, filter_),
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            filter_subjects=[f"{MESSAGES_SUBJECT}.{one}" for one in subjects_of(filter_)],
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=3 * HOLD_EVERY_S,
            max_ack_pending=GROUP_LIMIT,
            inactive_threshold=MESSAGES_AGE_S,
        )

    async def open(self) -> None:
        """Make the consumer where it is missing. Raises `Unavailable`."""
        name = self._config.durable_name or ""
        try:
            try:
                await self._jetstream.consumer_info(MESSAGES, name)
            except nats.js.errors.NotFoundError:
                await self._make()
            await self._pull.open(name)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise Unavailable(f"a shared subscription cannot be made: {reason_of(error)}") from error

    async def fetch(self, limit: int, *, wait_s: float) -> list[Shared]:
        """See `iot_system.ports.broker.Group.fetch`."""
        if not self._pull.is_open:
            await self.open()
        until_s = asyncio.get_running_loop().time() + wait_s
        try:
            messages = await self._pull.take(limit, ahead=limit, until_s=until_s)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            await self.close()
            raise Unavailable(f"a shared subscription cannot be read: {reason_of(error)}") from error
        return [Shared(Stored(parse_reply(one.reply).sequence, _decode(one.data)), one.reply) for one in messages]

    async def done(self, token: str) -> None:
        """See `iot_system.ports.broker.Group.done`."""
        await self._settle(token, b"+ACK")

    async def give_back(self, token: str) -> None:
        """See `iot_system.ports.broker.Group.give_back`."""
        await self._settle(token, b"-NAK")

    async def hold(self, token: str) -> None:
        """See `iot_system.ports.broker.Group.hold`."""
        await self._settle(token, b"+WPI")

    async def close(self) -> None:
        """See `iot_system.ports.broker.Group.close`."""
        for message in await self._pull.drain():
            await self.give_back(message.reply)

    async def _settle(self, token: str, verdict: bytes) -> None:
        """What gets lost here the consumer delivers again after its ``ack_wait``."""
        try:
            await self._client.publish(token, verdict)
        except nats.errors.Error as error:
            raise Unavailable(f"the broker did not take an acknowledgement: {error}") from error

    async def _make(self) -> None:
        try:
            await self._jetstream.add_consumer(MESSAGES, self._config)
        except nats.js.errors.BadRequestError:
            # Another process was faster, with another start.
            await self._jetstream.consumer_info(MESSAGES, self._config.durable_name or "")


async def delete_group(jetstream: JetStreamContext, key: str) -> None:
    """Idempotent. Raises `Unavailable`."""
    try:
        await jetstream.delete_consumer(MESSAGES, key)
    except nats.js.errors.NotFoundError:
        return
    except (nats.errors.Error, TimeoutError) as error:
        raise Unavailable(f"a shared subscription cannot be removed: {reason_of(error)}") from error
