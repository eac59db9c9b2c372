"""How full the streams are, as JetStream says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import nats.errors
from nats.aio.client import Client

from iot_system.adapters.nats.broker.streams import MESSAGES, RETAINED, SESSIONS
from iot_system.adapters.nats.events import EVENTS, READINGS
from iot_system.adapters.nats.stream import STREAM as FRAMES
from iot_system.errors import Unavailable, reason_of
from iot_system.ports.usage import Usage

STREAMS = (FRAMES, EVENTS, READINGS, MESSAGES, RETAINED, SESSIONS)
TIMEOUT_S = 5.0
_NOT_FOUND = 404
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class _Config(msgspec.Struct):
    name: str
    max_bytes: int


class _State(msgspec.Struct):
    messages: int
    bytes: int
    first_ts: datetime


class _Error(msgspec.Struct):
    code: int
    description: str = ""


class _Info(msgspec.Struct):
    """What STREAM.INFO answers: nats-py's own leaves out when the first message came. An error has neither."""

    config: _Config | None = None
    state: _State | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(_Info).decode


class NatsStreams:
    """Implements `iot_system.ports.usage.Streams`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def usage(self) -> list[Usage]:
        """See `iot_system.ports.usage.Streams.usage`."""
        try:
            answers = await asyncio.gather(
                *(self._client.request(f"$JS.API.STREAM.INFO.{one}", timeout=TIMEOUT_S) for one in STREAMS)
            )
            found = [_decode(answer.data) for answer in answers]
        except (nats.errors.Error, TimeoutError, msgspec.DecodeError) as error:
            raise Unavailable(f"JetStream does not say how full it is: {reason_of(error)}") from error
        return [used for info in found if (used := _usage(info)) is not None]


def _usage(info: _Info) -> Usage | None:
    """None where there is no such stream. Raises `Unavailable` where nobody can tell: most servers are away."""
    if info.error is not None and info.error.code != _NOT_FOUND:
        raise Unavailable(f"JetStream does not say how full it is: {info.error.description}")
    if info.config is None or info.state is None:
        return None
    oldest_us = (info.state.first_ts - _BEGINNING) // timedelta(microseconds=1) if info.state.messages else None
    return Usage(info.config.name, info.state.bytes, info.config.max_bytes, oldest_us)
