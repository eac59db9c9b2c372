"""How full the streams are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Of one stream: the bytes that it has and may have, and when its oldest message came (None: it has none).

    What every partition has applied leaves the stream of frames some seconds later, so its oldest message tells how far
    behind the slowest is.
    """

    stream: str
    bytes: int
    limit: int
    oldest_us: int | None


class Streams(Protocol):
    """Whoever can tell."""

    async def usage(self) -> Sequence[Usage]:
        """Of all streams that are there. Raises `Unavailable`."""
        ...
