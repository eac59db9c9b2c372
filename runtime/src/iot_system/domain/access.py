"""Who may do what: roles, and scopes that narrow a role to some rooms or labels. Pure; no look-ups."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal, TypeAlias

import msgspec

from iot_system.errors import InvalidInput

Role: TypeAlias = Literal["viewer", "operator", "admin", "device"]
PERSONS: tuple[Role, ...] = ("viewer", "operator", "admin")
"""Roles of people and programs, the least first."""
BOOTSTRAP_ADMIN = "admin"
"""The id of who has the token that the system was started with."""


class Scope(msgspec.Struct, frozen=True, array_like=True):
    """One thing that a role is narrowed to: a room, or a label ``name=value``."""

    kind: Literal["room", "label"]
    value: str


class Action(IntEnum):
    """What a client wants to do, by the least role of a person or program that may."""

    READ = 1
    """viewer: registry, twins, history, events, commands' states."""
    OPERATE = 2
    """operator: commands, desired state, rooms; telemetry in a device's name."""
    ADMINISTER = 3
    """admin: registry, credentials, tokens, audit, who owns an actor."""


_RANKS: Mapping[Role, int] = {"viewer": 1, "operator": 2, "admin": 3, "device": 0}


class Principal(msgspec.Struct, frozen=True):
    """Who is asking: a person or program with a role, or the device ``id`` for itself and those assigned to it.

    Several ``scopes`` widen: it is enough to be in one. None at all means everything. ``credential`` is the id of the
    device's credential or of the API token that let it in, ``certificate`` the serial number of the client certificate
    that did, or that came with the token, and ``expires_us`` the end of the first of them to expire (µs since 1970):
    what stays open for long ends with them.
    """

    role: Role
    id: str
    scopes: tuple[Scope, ...] = ()
    credential: str | None = None
    expires_us: int | None = None
    certificate: str | None = None

    @property
    def owner(self) -> str:
        """Whose something is: a device and a person may have the same id."""
        return f"device:{self.id}" if self.role == "device" else f"client:{self.id}"

    def may(self, action: Action) -> bool:
        """Whether the role allows ``action`` at all; the scope is a question of the thing (`sees`)."""
        return _RANKS[self.role] >= action

    def sees(self, *, room: str | None, labels: Mapping[str, str]) -> bool:
        """Whether the scopes leave a device or a room with this room and these labels in sight."""
        if not self.scopes:
            return True
        return any(_matches(scope, room, labels) for scope in self.scopes)


def parse_scope(text: str) -> Scope:
    """Read ``room:ID`` or ``label:name=value``. Raises `InvalidInput`."""
    kind, _, value = text.partition(":")
    if kind == "room" and value:
        return Scope("room", value)
    if kind == "label" and "=" in value:
        return Scope("label", value)
    raise InvalidInput(f"scope {text[:80]!r} is neither room:ID nor label:name=value")


def _matches(scope: Scope, room: str | None, labels: Mapping[str, str]) -> bool:
    if scope.kind == "room":
        return room == scope.value
    name, _, value = scope.value.partition("=")
    return labels.get(name) == value
