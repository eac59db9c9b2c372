"""Frames made of parts that were encoded on their own: what waits for the broker is kept and counted as bytes.

The result is what `iot_system.domain.frames.encode_frame` gives of a `DeviceFrame` or a `SignalFrame`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from iot_system.domain.frames import DeviceFrame, SignalFrame, encode_frame
from iot_system.domain.readings import Telemetry
from iot_system.domain.signals import Signal

DEVICE = encode_frame(DeviceFrame([]))[:-1]
SIGNAL = encode_frame(SignalFrame([]))[:-1]
"""How a frame of each sort begins; the list of its messages follows."""
HEAD_BYTES = max(len(DEVICE), len(SIGNAL)) + 5
"""What a frame has beside its messages, at most."""
_encode = msgspec.msgpack.Encoder().encode


class Chunk(msgspec.Struct, frozen=True):
    """Some messages, encoded one after another."""

    messages: int
    data: bytes


def chunks_of(messages: Sequence[Telemetry] | Sequence[Signal], limit: int) -> list[Chunk]:
    """``messages`` in their order as one chunk, or as several where ``limit`` bytes demand it.

    A message that is larger than that on its own is a chunk all the same.
    """
    encoded = _encode(messages)
    chunk = Chunk(len(messages), encoded[len(_list_head(len(messages))) :])
    if len(chunk.data) <= limit or len(messages) == 1:
        return [chunk]
    half = len(messages) // 2
    return [*chunks_of(messages[:half], limit), *chunks_of(messages[half:], limit)]


def frame_of(kind: bytes, chunks: Sequence[Chunk]) -> bytes:
    """The frame of sort ``kind`` (`DEVICE` or `SIGNAL`) with these messages."""
    head = _list_head(sum(chunk.messages for chunk in chunks))
    return b"".join([kind, head, *(chunk.data for chunk in chunks)])


def _list_head(count: int) -> bytes:
    """How a list of so many begins (MessagePack: fixarray, array 16, array 32)."""
    if count < 16:
        return bytes([0x90 | count])
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")
