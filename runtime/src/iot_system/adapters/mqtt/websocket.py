"""MQTT over WebSocket (MQTT 5, 6): the same protocol object on a transport that puts its bytes into binary frames.

There is no task per connection, and reading and writing are held up as on TCP: the protocol has the transport's own
brakes. A frame bears part of a packet or several; one of text ends the connection [MQTT-6.0.0-1].
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

FRAME_BYTES = 256 * 1024
"""The largest frame: the largest packet, and some more."""
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_CARRIES = (Opcode.BINARY, Opcode.CONT)


class WebSocketProtocol(asyncio.Protocol):
    """Begins with the HTTP request that asks for it, which is answered here; ``inner`` makes what is carried."""

    _transport: asyncio.Transport

    def __init__(self, inner: Callable[[], asyncio.Protocol]) -> None:
        self._inner_of = inner
        self._inner: asyncio.Protocol | None = None
        self._frames = ServerProtocol(subprotocols=[Subprotocol("mqtt")], max_size=(None, FRAME_BYTES))
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._frames.receive_data(data)
        for event in self._frames.events_received():
            if isinstance(event, Request):
                self._answer(event)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._frames.fail(CloseCode.UNSUPPORTED_DATA, "MQTT is binary")
            elif isinstance(event, Frame) and event.opcode in _CARRIES and self._inner is not None:
                self._inner.data_received(bytes(event.data))
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    @property
    def is_closing(self) -> bool:
        """Whether nothing more can be said."""
        return self._is_closing or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """One frame."""
        self._frames.send_binary(data)
        self._send()

    def close(self) -> None:
        """Say goodbye; the client's goodbye, or whoever loses patience with it, closes the connection."""
        if not self._is_closing and self._frames.state is State.OPEN:
            self._frames.send_close(CloseCode.NORMAL_CLOSURE)
            self._send()
        self._is_closing = True
        self._transport.resume_reading()

    def _answer(self, request: Request) -> None:
        response = self._frames.accept(request)
        self._frames.send_response(response)
        if response.status_code == 101:
            self._send()
            self._inner = self._inner_of()
            self._inner.connection_made(_Carrier(self, self._transport))

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        parts = self._frames.data_to_send()
        if data := b"".join(parts):
            self._transport.write(data)
        if b"" in parts:  # the end, as websockets has it
            self._is_closing = True
            self._transport.close()
        elif self._frames.close_expected():
            self._is_closing = True


class _Carrier(asyncio.Transport):
    """The transport that the carried protocol has."""

    def __init__(self, frames: WebSocketProtocol, below: asyncio.Transport) -> None:
        super().__init__()
        self._frames = frames
        self._below = below

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._below.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._frames.write(bytes(data))

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._frames.is_closing

    def close(self) -> None:
        self._frames.close()

    def abort(self) -> None:
        self._below.abort()

    def pause_reading(self) -> None:
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._below.resume_reading()


def unavailable() -> asyncio.Protocol:
    """Refuses, as long as there is nothing to carry."""
    return _Unavailable()


class _Unavailable(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        below = cast("asyncio.Transport", transport)
        below.write(_UNAVAILABLE)
        below.close()
