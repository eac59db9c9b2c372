"""Whom a message is for, and which actors a frame needs in memory."""

from __future__ import annotations

from iot_system.domain.addresses import Address
from iot_system.domain.frames import (
    ActorFrame,
    ActorMessage,
    DesiredChange,
    DeviceFrame,
    Frame,
    Membership,
    NewCommand,
    RoomReadings,
    Told,
)


def recipient(message: ActorMessage) -> Address:
    """The actor that a message between actors is for."""
    match message:
        case RoomReadings(room) | Membership(room):
            return Address("room", room)
        case Told(to):
            return to
        case DesiredChange(device):
            return Address("device", device)
        case NewCommand(command):
            return Address("device", command.device)


def addressed(frame: Frame) -> tuple[set[str], set[str]]:
    """Ids of the devices and of the rooms that ``frame`` speaks to."""
    if isinstance(frame, DeviceFrame):
        return {message.device for message in frame.messages}, set()
    if not isinstance(frame, ActorFrame):
        return {signal.device for signal in frame.signals}, set()
    devices: set[str] = set()
    rooms: set[str] = set()
    for message in frame.messages:
        address = recipient(message)
        (devices if address.kind == "device" else rooms).add(address.id)
    return devices, rooms
