"""What handlers ask for is checked whole before any of it is carried out: nothing fails half-way, or in the commit.

So all of it becomes plain text and numbers here: no store can hold a ``Decimal``, or what only behaves like a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from itertools import islice
from typing import Any, Literal, get_args

from msgspec.structs import replace

from iot_system.actors.actor import Actor
from iot_system.actors.commands import check_open
from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import (
    Alert,
    CancelTimer,
    Complete,
    Desire,
    Effect,
    Remember,
    Report,
    SendCommand,
    SetTimer,
    Severity,
    Tell,
)
from iot_system.actors.twins import check_fan_out
from iot_system.domain.addresses import Address
from iot_system.domain.commands import PAYLOAD_LIMIT, TIMEOUT_LIMIT_S
from iot_system.domain.ids import check_id
from iot_system.domain.merge import merge_patch
from iot_system.domain.payloads import check_size, plain, text
from iot_system.domain.twin import STATE_LIMIT, TIMERS_LIMIT
from iot_system.errors import InvalidInput, TooLarge

EFFECTS_LIMIT = 1_000
"""Effects of one call of a handler."""
NAME_LIMIT = 128
TIMER_LIMIT_S = 366 * 24 * 3600.0
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_ANSWERS: tuple[Literal["succeeded", "failed"], ...] = ("succeeded", "failed")


def checked(effects: Iterable[Effect], actor: Actor) -> list[Effect]:
    """Return ``effects`` with copies of their payloads.

    Raises `TypeError` for what is no effect, `InvalidInput` or `Overloaded` for what breaks a rule or a limit, and
    whatever a generator raises.
    """
    asked = list(islice(effects, EFFECTS_LIMIT + 1))
    if len(asked) > EFFECTS_LIMIT:
        raise TooLarge(f"a handler asked for more than {EFFECTS_LIMIT} effects, the limit")
    copies = [_copy(effect, actor) for effect in asked]
    _check_outcome(copies, actor)
    return copies


def _copy(effect: Effect, actor: Actor) -> Effect:
    if isinstance(effect, Report | Complete) and not isinstance(actor, DeviceActor):
        raise TypeError(f"{type(effect).__name__} is for devices, not for rooms")
    if isinstance(effect, Desire | SendCommand) and Address("device", effect.device or "") == actor.address:
        effect = replace(effect, device=None)
    match effect:
        case Report(patch) | Remember(patch) | Desire(patch):
            if not isinstance(patch, dict):
                raise TypeError(f"the patch of {effect!r} is not a dict")
            effect = replace(effect, patch=_plain(patch, effect, STATE_LIMIT))
            if isinstance(effect, Desire) and effect.device is not None:
                return replace(effect, device=_id(effect.device, "device"))
            return effect
        case SendCommand(name, payload, device, timeout_s):
            name, device = _id(name, "name"), None if device is None else _id(device, "device")
            if not 0 < timeout_s <= TIMEOUT_LIMIT_S:
                raise InvalidInput(f"timeout_s is {timeout_s}; it is above 0 and at most {TIMEOUT_LIMIT_S:g}")
            return SendCommand(name, _plain(payload, effect, PAYLOAD_LIMIT), device, float(timeout_s))
        case Complete(command, status, payload):
            if not isinstance(command, str):
                raise TypeError(f"{command!r} is not the id of a command")
            if status not in _ANSWERS:
                raise InvalidInput(f"status is {status!r}; it is succeeded or failed")
            status = _ANSWERS[_ANSWERS.index(status)]
            return Complete(text(command), status, _plain(payload, effect, PAYLOAD_LIMIT))
        case Tell(to, name, payload):
            if not isinstance(to, Address) or to.kind not in ("device", "room"):
                raise TypeError(f"{to!r} is not an Address of a device or a room")
            to = Address("device" if to.kind == "device" else "room", _id(to.id, "to"))
            return Tell(to, _name(name), _plain(payload, effect, PAYLOAD_LIMIT))
        case SetTimer(name, after_s):
            name = _name(name)
            if not (math.isfinite(after_s) and 0 <= after_s <= TIMER_LIMIT_S):
                raise InvalidInput(f"after_s is {after_s}; it is from 0 to {TIMER_LIMIT_S:g}")
            return SetTimer(name, float(after_s))
        case Alert(name, severity, active, payload):
            name = _name(name)
            if severity not in _SEVERITIES:
                raise InvalidInput(f"severity is {severity!r}; it is one of {', '.join(_SEVERITIES)}")
            severity = _SEVERITIES[_SEVERITIES.index(severity)]
            return Alert(name, severity, bool(active), _plain(payload, effect, PAYLOAD_LIMIT))
        case CancelTimer():
            return effect
    raise TypeError(f"{effect!r} is not an effect")


def _check_outcome(effects: list[Effect], actor: Actor) -> None:
    state = actor.state
    if isinstance(actor, DeviceActor):
        _check_merged(actor.state.reported, [one.patch for one in effects if isinstance(one, Report)], "reported state")
        if commands := sum(isinstance(one, SendCommand) and one.device is None for one in effects):
            check_open(actor, commands)
    _check_merged(state.extra, [one.patch for one in effects if isinstance(one, Remember)], "memory")
    own = [one.patch for one in effects if isinstance(one, Desire) and one.device is None]
    _check_merged(state.desired, own, "desired state")
    given = [one.payload for one in effects if isinstance(one, SendCommand) and one.device is None]
    if own or given:
        check_fan_out(actor, [own, given], field="what the handler asks for")
    if any(isinstance(one, SetTimer) for one in effects):
        timers = set(state.timers)
        for effect in effects:
            if isinstance(effect, SetTimer):
                timers.add(effect.name)
            elif isinstance(effect, CancelTimer):
                timers.discard(effect.name)
        if len(timers) > TIMERS_LIMIT:
            raise TooLarge(f"the actor would have {len(timers)} timers; the limit is {TIMERS_LIMIT}")


def _check_merged(before: dict[str, Any], patches: list[dict[str, Any]], field: str) -> None:
    if patches:
        check_size(reduce(merge_patch, patches, before), field=field, limit=STATE_LIMIT)


def _id(id_: str, field: str) -> str:
    check_id(id_, field=field)
    return text(id_)


def _name(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise InvalidInput(f"name {str(name)[:40]!r} must have 1 to {NAME_LIMIT} printable characters")
    return text(name)


def _plain(payload: object, effect: Effect, limit: int) -> Any:
    return plain(payload, field=f"what {type(effect).__name__} bears", limit=limit)
