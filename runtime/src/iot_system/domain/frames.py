"""Frames: many messages for one partition in one broker message (MessagePack)."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command
from iot_system.domain.readings import Telemetry, Value
from iot_system.domain.signals import Signal

FRAME_MESSAGES = 500
"""A frame's usual size: past it, larger frames gained nothing on the measured machine."""


class RoomReadings(msgspec.Struct, frozen=True, array_like=True, tag="room", gc=False):
    """What one frame of one partition brought for one room: ``(device, time_us, values)`` each."""

    room: str
    readings: list[tuple[str, int, dict[str, Value]]]


class Told(msgspec.Struct, frozen=True, array_like=True, tag="told"):
    """A behaviour's message from any actor to any other."""

    to: Address
    sender: Address
    name: str
    payload: Any
    time_us: int


class DesiredChange(msgspec.Struct, frozen=True, array_like=True, tag="desired"):
    """Merge ``patch`` into the desired state of a device; ``by`` is who wants it."""

    device: str
    patch: dict[str, Any]
    by: str


class NewCommand(msgspec.Struct, frozen=True, array_like=True, tag="command"):
    """A command that an actor gives to a device."""

    command: Command


class Membership(msgspec.Struct, frozen=True, array_like=True, tag="member"):
    """A device has joined a room, or has left it."""

    room: str
    device: str
    joined: bool


ActorMessage: TypeAlias = RoomReadings | Told | DesiredChange | NewCommand | Membership


class DeviceFrame(msgspec.Struct, frozen=True, array_like=True, tag="device", gc=False):
    """From a gateway: telemetry of devices of one partition, in the order of their acknowledgement."""

    messages: list[Telemetry]


class SignalFrame(msgspec.Struct, frozen=True, array_like=True, tag="signal", gc=False):
    """From a gateway: signals of devices of one partition, in their order, and in order with their telemetry."""

    signals: list[Signal]


class ActorFrame(msgspec.Struct, frozen=True, array_like=True, tag="actor", gc=False):
    """From partition ``source``: messages between actors, numbered per (source, target) from 1 without gaps."""

    source: int
    number: int
    messages: list[ActorMessage]


Frame: TypeAlias = DeviceFrame | SignalFrame | ActorFrame

encode_frame = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def decode_frame(data: bytes) -> Frame:
    """Raises `msgspec.MsgspecError` where ``data`` is not a frame of this version."""
    return _decoder.decode(data)
