"""What a handler may ask for. Handlers return effects; they are carried out with the commit, all of them or none."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from iot_system.domain.addresses import Address
from iot_system.domain.commands import TIMEOUT_S

Severity: TypeAlias = Literal["info", "warning", "critical"]


class Report(msgspec.Struct, frozen=True):
    """Merge ``patch`` (RFC 7396) into the device's reported state. Devices only."""

    patch: dict[str, Any]


class Remember(msgspec.Struct, frozen=True):
    """Merge ``patch`` (RFC 7396) into what the behaviour keeps between messages (``memory``)."""

    patch: dict[str, Any]


class Desire(msgspec.Struct, frozen=True):
    """Merge ``patch`` (RFC 7396) into a desired state: of ``device``, or of the actor itself.

    A room's own desired state goes on to all its devices.
    """

    patch: dict[str, Any]
    device: str | None = None


class SendCommand(msgspec.Struct, frozen=True):
    """Give a command to ``device``; without one, a device to itself, a room to each of its devices.

    It expires ``timeout_s`` seconds from now.
    """

    name: str
    payload: Any = None
    device: str | None = None
    timeout_s: float = TIMEOUT_S


class Complete(msgspec.Struct, frozen=True):
    """End a command of this device with an answer, in place of the device; one that is over stays as it is."""

    command: str
    status: Literal["succeeded", "failed"] = "succeeded"
    payload: Any = None


class Tell(msgspec.Struct, frozen=True):
    """Call ``on_message`` of any other actor, exactly once."""

    to: Address
    name: str
    payload: Any = None


class SetTimer(msgspec.Struct, frozen=True):
    """Call ``on_timer`` once, ``after_s`` seconds from now; a timer of the same name is replaced."""

    name: str
    after_s: float


class CancelTimer(msgspec.Struct, frozen=True):
    """Forget a timer; one that is not there is no mistake."""

    name: str


class Alert(msgspec.Struct, frozen=True):
    """Tell applications (event ``alert``) that something is (``active``), or is no longer, as it should not be."""

    name: str
    severity: Severity = "warning"
    active: bool = True
    payload: Any = None


Effect: TypeAlias = Report | Remember | Desire | SendCommand | Complete | Tell | SetTimer | CancelTimer | Alert
