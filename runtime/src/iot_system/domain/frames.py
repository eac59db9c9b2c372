"""Frames: many messages for one partition in one broker message (MessagePack)."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from iot_system.domain.readings import Telemetry, Value

FRAME_MESSAGES = 500
"""A frame's usual size: past it, larger frames gained nothing on the measured machine."""


class RoomReadings(msgspec.Struct, frozen=True, array_like=True, tag="room", gc=False):
    """What one frame of one partition brought for one room: ``(device, time_us, values)`` each."""

    room: str
    readings: list[tuple[str, int, dict[str, Value]]]


ActorMessage: TypeAlias = RoomReadings


class DeviceFrame(msgspec.Struct, frozen=True, array_like=True, tag="device", gc=False):
    """From a gateway: telemetry of devices of one partition, in the order of their acknowledgement."""

    messages: list[Telemetry]


class ActorFrame(msgspec.Struct, frozen=True, array_like=True, tag="actor", gc=False):
    """From partition ``source``: messages between actors, numbered per (source, target) from 1 without gaps."""

    source: int
    number: int
    messages: list[ActorMessage]


Frame: TypeAlias = DeviceFrame | ActorFrame

encode_frame = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def decode_frame(data: bytes) -> Frame:
    """Raises `msgspec.MsgspecError` where ``data`` is not a frame of this version."""
    return _decoder.decode(data)
