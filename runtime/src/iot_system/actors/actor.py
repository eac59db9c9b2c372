"""What devices' and rooms' actors have in common."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec.msgpack import decode, encode

from iot_system.actors.effects import Effect
from iot_system.actors.time_limit import TooLong
from iot_system.domain.addresses import Address
from iot_system.domain.events import Event, EventKind
from iot_system.domain.twin import DeviceState, RoomState

MISTAKES = (Exception, SystemExit, GeneratorExit, CancelledError, TooLong)
"""What a behaviour, the user's code, may raise: it harms its own actor only. Nothing waits while it runs."""


class Actor:
    """One actor in memory.

    Handlers (``on_…``) never do I/O and change nothing themselves: they return effects, or yield them. An actor lives
    while it is in use, so what must last goes through `iot_system.actors.effects.Remember`. ``now_us`` is the time of
    the message at hand (microseconds since 1970), so also when the actor was last used.
    """

    __slots__ = ("now_us", "state")
    version: ClassVar[int] = 1
    """Raise it with the form of ``memory``; `migrate` turns the old form into the new one."""
    state: DeviceState | RoomState
    now_us: int

    @property
    def address(self) -> Address:
        """Where messages for this actor go."""
        raise NotImplementedError

    def event(self, kind: EventKind, data: dict[str, Any]) -> Event:
        """Something that happens to this actor now."""
        raise NotImplementedError

    def migrate(self, extra: dict[str, Any], from_version: int) -> dict[str, Any]:
        """Return what an earlier (or later) version of this behaviour remembered in the form of this version."""
        return extra

    def on_timer(self, name: str) -> Iterable[Effect] | None:
        """React to a timer that was set by `iot_system.actors.effects.SetTimer`."""

    def on_desired(self, patch: dict[str, Any]) -> Iterable[Effect] | None:
        """React to a change of the own desired state by somebody else; ``desired`` has it already."""

    def on_message(self, sender: Address, name: str, payload: Any) -> Iterable[Effect] | None:
        """React to `iot_system.actors.effects.Tell` of another actor."""

    @property
    def memory(self) -> dict[str, Any]:
        """What the behaviour remembered; a copy."""
        return _copy(self.state.extra)

    @property
    def desired(self) -> dict[str, Any]:
        """The own desired state; a copy."""
        return _copy(self.state.desired)


def _copy(value: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = decode(encode(value)) if value else {}
    return copied
