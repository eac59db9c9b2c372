"""The reading side of the streams of events in JetStream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamInfo

from iot_system.adapters.nats.hearing import was_said
from iot_system.adapters.nats.looking import look
from iot_system.adapters.nats.reader import NatsReader
from iot_system.errors import Unavailable
from iot_system.ports.events import LogLost

EVENTS = "IOT_EVENTS"
READINGS = "IOT_READINGS"
SUBJECTS = {EVENTS: "iot.events", READINGS: "iot.readings"}
TIMEOUT_S = 5.0
FETCH = 256
BEHIND_S = 10.0
"""One of several servers that stood still may not know what the others have; it does within seconds."""
LOOK_AGAIN_S = 0.5


class NatsLog:
    """Implements `iot_system.ports.events.Log` over ``stream``, which is `EVENTS` or `READINGS`."""

    def __init__(self, client: Client, stream: str, *, partitions: int) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=TIMEOUT_S)
        self._stream = stream
        self._subject = SUBJECTS[stream]
        self._partitions = partitions

    async def end(self) -> int:
        """See `iot_system.ports.events.Log.end`."""
        return (await self.info()).state.last_seq

    async def reaches(self, position: int) -> bool:
        """See `iot_system.ports.events.Log.reaches`."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + BEHIND_S
        while (info := await self.info()).state.last_seq < position:
            if _is_alone(info) or loop.time() >= until_s:
                return False
            await asyncio.sleep(LOOK_AGAIN_S)
        return True

    def read(self, after: int) -> NatsLogReader:
        """See `iot_system.ports.events.Log.read`."""
        return NatsLogReader(self, after)

    async def overhear(self, partition: int, take: Callable[[bytes], None]) -> Callable[[], Awaitable[None]]:
        """See `iot_system.ports.events.Log.overhear`.

        The stream gets what is published to its subject, and so does whoever subscribes to it: that knows no stream.
        """

        subject = f"{self._subject}.{partition}"

        async def on_message(message: Msg) -> None:
            if was_said(message, subject):
                take(message.data)

        try:
            subscription = await self._client.subscribe(subject, cb=on_message)
        except nats.errors.Error as error:
            raise Unavailable(f"the broker took no subscription: {error}") from error

        async def end() -> None:
            with contextlib.suppress(nats.errors.Error):  # it is over with the connection, too
                await subscription.unsubscribe()

        return end

    def reader(self, log_reader: NatsLogReader, after: int) -> NatsReader:
        """All subjects at once, so that the sequences have no gaps but those of what the stream dropped."""
        positions = dict.fromkeys(range(self._partitions), after)
        return NatsReader(
            self._client, self._stream, self._subject, positions, of=self._partitions, verify=log_reader.verify
        )

    async def info(self) -> StreamInfo:
        """Raises `Unavailable`."""
        return await look(self._jetstream, self._stream)


class NatsLogReader:
    """Implements `iot_system.ports.events.LogReader`."""

    def __init__(self, log: NatsLog, after: int) -> None:
        self._log = log
        self._position = after
        self._made: str | None = None
        self._behind_since_s: float | None = None
        self._reader = log.reader(self, after)

    async def fetch(self, *, wait_s: float) -> list[tuple[int, bytes]]:
        """See `iot_system.ports.events.LogReader.fetch`."""
        messages = await self._reader.fetch(FETCH, wait_s=wait_s)
        if messages:
            self._position = messages[-1].sequence
        return [(message.sequence, message.data) for message in messages]

    async def close(self) -> None:
        """See `iot_system.ports.events.LogReader.close`."""
        await self._reader.__aexit__(None, None, None)

    async def verify(self) -> None:
        """Raises `LogLost` where the stream was made anew, or has lost what was read already.

        `Unavailable` where it ends before that, but others may know more than who tells.
        """
        info = await self._log.info()
        made = str(info.created)
        self._made = self._made or made
        if made != self._made:
            raise LogLost("a stream of events is another one now")
        if info.state.last_seq >= self._position:
            self._behind_since_s = None
            return
        now_s = asyncio.get_running_loop().time()
        self._behind_since_s = self._behind_since_s or now_s
        ends = f"a stream of events ends at {info.state.last_seq}, but {self._position} was read"
        if _is_alone(info) or now_s - self._behind_since_s >= BEHIND_S:
            raise LogLost(ends)
        raise Unavailable(ends)


def _is_alone(info: StreamInfo) -> bool:
    """Whether the one server that has the stream tells of it, so that nobody knows more."""
    return (info.config.num_replicas or 1) == 1
