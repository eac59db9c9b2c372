"""Who a message between actors is for, and from."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["device", "room"]


class Address(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One actor. Devices and rooms have separate ids: both may have a ``hall``."""

    kind: Kind
    id: str

    @property
    def path(self) -> str:
        """As REST has it: ``devices/ID`` or ``rooms/ID``."""
        return f"{self.kind}s/{self.id}"

    def __str__(self) -> str:
        return f"{self.kind} {self.id!r}"
