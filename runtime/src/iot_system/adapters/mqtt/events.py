"""What a connection wants to be done, and what is told to it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from iot_system.adapters.mqtt.inbound import Batch
from iot_system.adapters.mqtt.packets import Connect, Subscribe, Unsubscribe, Will
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.adapters.mqtt.session import Delivery


class Ended(msgspec.Struct, frozen=True):
    """The connection is over: send what `Connection.output` holds, then close, but not before ``after_s`` seconds.

    ``reason`` is one of few words, ``why`` a sentence; None where nothing went wrong. ``code`` is what a client of
    MQTT 5 is told. ``will`` is to be published, after its will delay interval (3.1.3.2.2).
    """

    reason: str
    why: str | None = None
    after_s: float = 0.0
    code: ReasonCode | None = None
    will: Will | None = None


class Acknowledged(msgspec.Struct, frozen=True):
    """The client has these messages, or has refused them for good; ``dropped`` are too large for it, never sent."""

    messages: list[Delivery]
    dropped: list[Delivery]


Event: TypeAlias = Connect | Batch | Subscribe | Unsubscribe | Acknowledged | Ended
