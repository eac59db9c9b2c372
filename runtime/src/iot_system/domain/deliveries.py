"""From the owner of a device to the gateway that the device is connected to; not durable, repeated until confirmed."""

from __future__ import annotations

from typing import Any

import msgspec

from iot_system.domain.commands import Command


class Desired(msgspec.Struct, frozen=True, array_like=True):
    """Desired state of ``version``: the whole (``is_whole``), or the patch that led to it."""

    version: int
    state: dict[str, Any]
    is_whole: bool


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """What the device is to get over one connection: its desired state, then commands in their order.

    Nothing at all asks whether the connection is still there, which a `Connected` answers. ``behind`` is the id of the
    command that was sent before these and is not known to be delivered: who never heard of it has lost it.
    """

    device: str
    connection: str
    desired: Desired | None
    commands: list[Command]
    behind: str | None = None


encode_deliveries = msgspec.msgpack.Encoder().encode
decode_deliveries = msgspec.msgpack.Decoder(list[Delivery]).decode
