"""Publishing: into the log, and where the message is to be retained, there too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from iot_system.errors import IotError, Retry
from iot_system.ports.broker import Message, Messages, Retained, SessionRecord, Stored

log = structlog.get_logger()


class Publisher:
    """A message is durable when it is in the log and, if it is to be retained, among the retained ones."""

    def __init__(self, messages: Messages, retained: Retained) -> None:
        self._messages = messages
        self._retained = retained

    async def publish(self, messages: Sequence[Message]) -> list[IotError | None]:
        """For each None once it is durable, or why it is not."""
        results = await self._messages.publish(messages)
        failures = [one if isinstance(one, IotError) else None for one in results]
        kept = [
            (index, Stored(result, message))
            for index, (message, result) in enumerate(zip(messages, results, strict=True))
            if message.retain and not isinstance(result, IotError)
        ]
        if kept:
            for (index, _), failure in zip(
                kept, await asyncio.gather(*(self._keep(one) for _, one in kept)), strict=True
            ):
                failures[index] = failure
        return failures

    async def publish_will(self, record: SessionRecord, now_us: int) -> None:
        """Publish a record's will, under an id of its own: it is stored once. Raises `Retry` where it is not stored."""
        will = record.will
        assert will is not None
        expires_us = None if will.expiry_s is None else now_us + will.expiry_s * 1_000_000
        id_ = f"will-{record.key}-{record.connection}"
        failure = (await self.publish([msgspec.structs.replace(will.message, id=id_, expires_us=expires_us)]))[0]
        if isinstance(failure, Retry):
            raise failure
        if failure is not None:
            log.warning("a will is dropped", client_id=record.client_id[:100], error=str(failure))

    async def _keep(self, stored: Stored) -> IotError | None:
        try:
            await self._retained.put(stored)
        except IotError as error:
            return error
        return None
