"""What every side of the updates offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from iot_system.domain.readings import Telemetry


class Updated(msgspec.Struct, frozen=True):
    """So many messages reached their actors within so long."""

    messages: int
    seconds: float


class Updater(Protocol):
    """Actors of some devices, in memory already."""

    async def update(self, messages: Sequence[Telemetry]) -> None:
        """Hand each message to its device's actor, in their order; returns when all have taken theirs."""
        ...
