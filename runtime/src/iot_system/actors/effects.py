"""What a handler may ask for. Handlers return effects; the shard carries them out with the commit."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class Report(msgspec.Struct, frozen=True):
    """Merge ``patch`` (RFC 7396) into the device's reported state."""

    patch: dict[str, Any]


class Remember(msgspec.Struct, frozen=True):
    """Merge ``patch`` (RFC 7396) into what the behaviour keeps between messages (`DeviceActor.memory`)."""

    patch: dict[str, Any]


Effect: TypeAlias = Report | Remember
