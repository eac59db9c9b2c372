"""Who a message between actors is for, and from."""

from __future__ import annotations

from typing import Literal

import msgspec


class Address(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One actor. Devices and rooms have separate ids: both may have a ``hall``."""

    kind: Literal["device", "room"]
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id!r}"
