"""What a principal may do with a device or a room. Pure: the registration is looked up by the caller."""

from __future__ import annotations

from collections.abc import Mapping

from iot_system.domain.access import Action, Principal
from iot_system.domain.registry import Device
from iot_system.errors import Forbidden, NotFound

_SHOWN = 128
_LEAST = {Action.READ: "viewer", Action.OPERATE: "operator", Action.ADMINISTER: "admin"}


def check_role(principal: Principal, action: Action) -> None:
    """Raises `Forbidden`, naming the least role that may, where the principal's may not."""
    if not principal.may(action):
        raise Forbidden(f"{principal.role} {principal.id!r} may not do this; it needs the role {_LEAST[action]}")


def check_unscoped(principal: Principal) -> None:
    """Raises `Forbidden` where scopes narrow the role: for what concerns the system as a whole."""
    if principal.scopes:
        raise Forbidden(f"{principal.role} {principal.id!r} is narrowed by scopes; this needs the role without any")


def is_itself_or_gateway(principal: Principal, device: Device) -> bool:
    """Whether this is the device, or the gateway that its registration names."""
    return principal.role == "device" and principal.id in (device.id, device.gateway)


def check_speaks(principal: Principal, id_: str, device: Device | None) -> None:
    """Whether the principal may send telemetry and signals in the name of ``id_``, registered as ``device``.

    Raises `Forbidden`, or `NotFound` where the device does not exist or is out of sight.
    """
    if principal.role != "device":
        check_role(principal, Action.OPERATE)
        check_device_in_sight(principal, id_, device)
    elif principal.id != id_ and not (device is not None and is_itself_or_gateway(principal, device)):
        raise Forbidden(f"device {principal.id!r} may not speak for {id_[:_SHOWN]!r}")
    elif device is None:
        raise NotFound(f"device {id_[:_SHOWN]!r} is not registered")


def check_device_in_sight(principal: Principal, id_: str, device: Device | None) -> None:
    """Raises `NotFound` for a device that does not exist, and in the same words for one out of sight."""
    if device is None or not principal.sees(room=device.room, labels=device.labels):
        raise NotFound(f"device {id_[:_SHOWN]!r} is not registered")


def check_room_in_sight(principal: Principal, id_: str, labels: Mapping[str, str]) -> None:
    """Raises `NotFound` for a room out of sight, in the words for one of which nothing was heard."""
    if not principal.sees(room=id_, labels=labels):
        raise NotFound(f"nothing was heard of room {id_[:_SHOWN]!r} yet")


def check_registration(principal: Principal, *, room: str | None, labels: Mapping[str, str]) -> None:
    """Raises `Forbidden` where a device or room would be registered out of the principal's own sight."""
    if not principal.sees(room=room, labels=labels):
        scopes = " or ".join(f"{scope.kind}:{scope.value}" for scope in principal.scopes)
        raise Forbidden(f"{principal.role} {principal.id!r} may register within {scopes} only")
