"""Server-Sent Events as the HTML standard has them (9.2.6), without I/O: bytes in, messages out.

Lines end with CR, LF or both and with nothing else: JSON may bear other characters that Python takes for line ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

LINE_LIMIT = 1 << 20
"""Bytes of a line without an end."""


class Message(msgspec.Struct, frozen=True):
    """One dispatched message; ``id`` is the last that the stream named, ``event`` is empty where it has no name."""

    id: str
    event: str
    data: str


class SseParser:
    """Give it what the stream gives, in any pieces."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        """Where to resume: the id of the last message that came whole."""
        self._id = last_id
        self._rest = b""
        self._event = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that ``data`` completes. Raises `ValueError` for a line beyond `LINE_LIMIT`."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LINE_LIMIT:
            raise ValueError(f"a line has more than {LINE_LIMIT} bytes")
        for line in lines:
            for part in line.removesuffix(b"\r").split(b"\r"):
                message = self._line(part.decode(errors="replace"))
                if message is not None:
                    yield message

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._id = value
        return None

    def _dispatch(self) -> Message | None:
        event, data = self._event, self._data
        self.last_id, self._event, self._data = self._id, "", []
        return Message(self.last_id, event, "\n".join(data)) if data else None
