"""The streams: a durable, bounded log of frames with one subject per partition, and what those who listen get."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import msgspec

from iot_system.errors import Unavailable

ANSWER_S = 2.0
"""Nobody answers for a leader that is gone, and the next one has been found by then: whoever publishes tries again."""


class StreamLost(Unavailable):
    """The stream is not the one that positions belong to, or has lost what it held: `Stream.follow` tells more."""


class StreamMessage(msgspec.Struct, frozen=True, gc=False):
    """One frame as it stands in the log; ``sequence`` grows over the whole stream.

    Of a bundle, each partition that shares it gets what is its own, under the bundle's sequence: no ``data`` where
    there is nothing.
    """

    partition: int
    sequence: int
    data: bytes


class Reader(Protocol):
    """Reads some partitions in order, each from behind its own position, without gaps."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def fetch(self, limit: int, *, wait_s: float) -> list[StreamMessage]:
        """Return at least one message as soon as there is one, at most ``limit``; none after ``wait_s``.

        Mends itself after connection losses; raises `Unavailable` where it could not, and may be called again.
        """
        ...

    @property
    def pending(self) -> int:
        """How many messages wait behind the last one fetched, as the broker last said."""
        ...


class Stream(Protocol):
    """Contract of all streams."""

    async def publish(self, partition: int, data: bytes, *, message_id: str, answer_s: float = ANSWER_S) -> int:
        """Append and return the sequence, once it is durable.

        Raises `Overloaded` where the stream is full, `TooLarge` over the broker's limit, `Unavailable` where no answer
        came within ``answer_s`` (the message may or may not be there: publish again with the same ``message_id``).
        """
        ...

    async def publish_bundle(self, frames: Mapping[int, bytes], *, message_id: str, answer_s: float = ANSWER_S) -> int:
        """Append frames of partitions that share bundles (see `iot_system.domain.bundles`), all or none of them.

        Returns and raises as `publish` does.
        """
        ...

    async def publish_events(self, source: int, data: bytes, *, message_id: str) -> None:
        """Append encoded `iot_system.domain.events.Event` of partition ``source``, durably; the oldest go for it.

        Raises as `publish` does.
        """
        ...

    async def publish_readings(self, source: int, data: bytes) -> None:
        """Hand encoded `iot_system.domain.events.NewReadings` to those who listen, without waiting for anybody.

        Raises `Unavailable` where the broker is away, `TooLarge` over its limit.
        """
        ...

    @property
    def frame_limit(self) -> int:
        """The largest frame in bytes, and the largest bundle."""
        ...

    def read(self, positions: Mapping[int, int], *, stream_id: str) -> Reader:
        """Open a reader of ``positions``: partition → the sequence of the last message already applied.

        Its `Reader.fetch` raises `StreamLost` where the positions are not those of this stream.
        """
        ...

    async def trim(self, applied: Mapping[int, int], *, stream_id: str) -> None:
        """Forget what every partition has applied (partition → sequence).

        Raises `StreamLost`, and forgets nothing, where the positions are not those of this stream.
        """
        ...

    async def verify(self, stream_id: str, *, reached: int) -> None:
        """Raises `StreamLost` where the stream is not ``stream_id``, or ends before ``reached``; else `Unavailable`."""
        ...

    async def follow(self, stream_id: str, *, reached: int) -> str:
        """Return the identity of the stream that is there. Raises `Unavailable` where it is missing.

        One that is still ``stream_id`` but ends before ``reached`` has lost what it held, and changes its identity:
        once it has given a number again, for who says where it ends may be behind.
        """
        ...
