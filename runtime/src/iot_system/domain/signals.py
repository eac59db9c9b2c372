"""What gateways tell the actors of devices beside telemetry: durable, and in order with it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec


class Reported(msgspec.Struct, frozen=True, array_like=True, tag="reported", gc=False):
    """The device's merge patch (RFC 7396) of its reported state. ``id`` recognises a re-send."""

    device: str
    patch: dict[str, Any]
    time_us: int
    id: str | None = None


class CommandAnswer(msgspec.Struct, frozen=True, array_like=True, tag="answer", gc=False):
    """What became of a command, said by the device."""

    device: str
    command: str
    status: Literal["succeeded", "failed"]
    payload: Any
    time_us: int


class CommandDelivered(msgspec.Struct, frozen=True, array_like=True, tag="delivered", gc=False):
    """The device has acknowledged the message that bears the command."""

    device: str
    command: str
    time_us: int


class DesiredDelivered(msgspec.Struct, frozen=True, array_like=True, tag="desired", gc=False):
    """The device has acknowledged its desired state of this version."""

    device: str
    version: int
    time_us: int


class Connected(msgspec.Struct, frozen=True, array_like=True, tag="connected", gc=False):
    """A device is connected, or has changed what it listens to.

    ``gateway`` is the API pod, ``connection`` one connection of the device to it. Answered by a `Delivery` of what the
    device listens to: its whole desired state, and every command that is not at its end.
    """

    device: str
    gateway: str
    connection: str
    time_us: int
    wants_desired: bool
    wants_commands: bool


class Disconnected(msgspec.Struct, frozen=True, array_like=True, tag="disconnected", gc=False):
    """A connection is over. Says nothing of the device where a newer connection is there already."""

    device: str
    connection: str
    reason: str
    time_us: int


Signal: TypeAlias = Reported | CommandAnswer | CommandDelivered | DesiredDelivered | Connected | Disconnected
