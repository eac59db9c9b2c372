"""Which topics a client may publish to, and which filters it may subscribe to. Pure.

| topic | a device | viewer | operator, admin |
| --- | --- | --- | --- |
| ``v1/devices/{id}/telemetry``, ``…/twin/reported``, ``…/commands/{command}/result`` | publish: its own | | publish |
| ``v1/devices/{id}/…``, ``v1/rooms/{id}/…`` | subscribe: its own | subscribe | subscribe |
| ``app/devices/{id}/…`` | both: its own | subscribe | both |
| ``app/…`` | | subscribe | both |

A gateway device may do for the devices that name it what it may do for itself. What a person or program is sent on
``v1/…`` is narrowed by its scopes message by message; below ``app/…`` scopes leave what is below ``app/rooms/{room}/``.
"""

from __future__ import annotations

from iot_system.domain.access import Action, Principal
from iot_system.domain.ids import ME, is_id
from iot_system.domain.permissions import is_itself_or_gateway
from iot_system.domain.registry import Device

_INTERFACE = "v1"
_APPLICATIONS = "app"


def device_to_look_up(principal: Principal, topic: str) -> str | None:
    """The device whose registration `may_publish` and `may_subscribe` need to know, for it may name a gateway."""
    match topic.split("/"):
        case ["v1" | "app", "devices", device, _, *_] if principal.role == "device" and is_id(device):
            return None if device == principal.id else device
        case _:
            return None


def may_publish(principal: Principal, topic: str, registered: Device | None = None) -> bool:
    """Whether a message may be published to ``topic``, a name without wildcards that the standard allows.

    For ``v1/…`` this is about the role alone: `iot_system.ports.gateway.Gateway.ingest` looks at the device.
    """
    match topic.split("/"):
        case ["v1", "devices", device, "telemetry"] | ["v1", "devices", device, "twin", "reported"]:
            return _may_speak(principal, device, registered)
        case ["v1", "devices", device, "commands", command, "result"]:
            return is_id(command) and _may_speak(principal, device, registered)
        case ["app", _, *_] as levels:
            if principal.role == "device":
                return _is_of_device(levels, principal, registered)
            return principal.may(Action.OPERATE) and (not principal.scopes or _is_of_scope(levels, principal))
        case _:
            return False


def may_subscribe(principal: Principal, filter_: str, registered: Device | None = None) -> bool:
    """Whether ``filter_``, without ``$share/{name}/``, may be subscribed to."""
    levels = filter_.split("/")
    if principal.role == "device":
        return _is_of_device(levels, principal, registered)
    if not principal.may(Action.READ):
        return False
    reaches_interface = levels[0] in (_INTERFACE, "+", "#")
    reaches_applications = levels[0] in (_APPLICATIONS, "+", "#")
    if reaches_applications and principal.scopes:
        return _is_of_scope(levels, principal)
    return reaches_interface or reaches_applications


def _may_speak(principal: Principal, device: str, registered: Device | None) -> bool:
    if principal.role == "device":
        return _is_meant(device, principal, registered, me=ME)
    return principal.may(Action.OPERATE) and is_id(device)


def _is_of_device(levels: list[str], principal: Principal, registered: Device | None) -> bool:
    """Whether it reaches nothing but what belongs to this device, or to one that it is the gateway of."""
    match levels:
        case ["v1", "devices", device, _, *_]:
            return _is_meant(device, principal, registered, me=ME)
        case ["app", "devices", device, _, *_]:  # plain topics of applications: `me` is no word there
            return _is_meant(device, principal, registered, me=None)
        case _:
            return False


def _is_meant(device: str, principal: Principal, registered: Device | None, *, me: str | None) -> bool:
    if device in (principal.id, me):
        return True
    return registered is not None and registered.id == device and is_itself_or_gateway(principal, registered)


def _is_of_scope(levels: list[str], principal: Principal) -> bool:
    match levels:
        case ["app", "rooms", room, _, *_]:
            return any(scope.kind == "room" and scope.value == room for scope in principal.scopes)
        case _:
            return False
