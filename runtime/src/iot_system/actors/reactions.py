"""A behaviour reacts: its handler is called, what it asks for is checked, then all of it carried out, or nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import structlog
from msgspec import structs

from iot_system.actors import commands, twins
from iot_system.actors.actor import MISTAKES, Actor
from iot_system.actors.changes import Changes
from iot_system.actors.checking import checked
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
    Tell,
)
from iot_system.actors.room import RoomActor
from iot_system.actors.time_limit import HANDLERS
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command
from iot_system.domain.frames import DesiredChange, NewCommand, Told
from iot_system.domain.history import Reading
from iot_system.domain.merge import merge_patch
from iot_system.domain.questions import Failure

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

SHORTEST_TIMER_S = 0.1
ERROR_LIMIT = 1024
"""Bytes of a failure's error, and four times as many of its message."""
_OWN = ("iot_system.actors.", "iot_system.domain.")
log: FilteringBoundLogger = structlog.get_logger()


def react(actor: Actor, handler: Callable[..., Iterable[Effect] | None], *args: Any, changes: Changes) -> None:
    """Call a handler of ``actor``. It may raise, return nonsense or never return: that harms its own actor only."""
    try:
        effects = HANDLERS.run(lambda: checked(handler(*map(_own, args)) or (), actor), of=type(actor))
    except MISTAKES as error:
        _fail(actor, handler.__name__, args, error, changes)
        return
    for effect in effects:
        _carry_out(effect, actor, changes)


def _carry_out(effect: Effect, actor: Actor, changes: Changes) -> None:
    """What `checked` let through: nothing here can fail any more."""
    state, address = actor.state, actor.address
    match effect:
        case Report(patch) if isinstance(actor, DeviceActor):
            twins.report(actor, patch, changes)
        case Complete(command, status, payload) if isinstance(actor, DeviceActor):
            commands.end(actor, command, status, changes, result=payload)
        case Remember(patch):
            state.extra = merge_patch(state.extra, patch)
            changes.touch(actor)
        case Desire(patch, None):
            twins.desire(actor, patch, address.path, changes)
        case Desire(patch, str() as device):
            changes.tell(DesiredChange(device, patch, address.path))
        case SendCommand():
            _give(effect, actor, changes)
        case Tell(to, name, payload):
            changes.tell(Told(to, address, name, payload, actor.now_us))
        case SetTimer(name, after_s):
            state.timers = state.timers | {name: actor.now_us + round(max(after_s, SHORTEST_TIMER_S) * 1e6)}
            changes.touch(actor)
            changes.rescheduled.add(address)
        case CancelTimer(name):
            state.timers = {other: due_us for other, due_us in state.timers.items() if other != name}
            changes.touch(actor)
            changes.rescheduled.add(address)
        case Alert(name, severity, active, payload):
            data = {"name": name, "severity": severity, "active": active, "payload": payload}
            changes.events.append(actor.event("alert", data))


def _give(effect: SendCommand, actor: Actor, changes: Changes) -> None:
    state, address = actor.state, actor.address
    state.given += 1
    changes.touch(actor)
    command = Command(
        id=command_id(actor, state.given),
        device=effect.device or address.id,
        name=effect.name,
        payload=effect.payload,
        created_us=actor.now_us,
        updated_us=actor.now_us,
        expires_us=actor.now_us + round(effect.timeout_s * 1e6),
        created_by=address.path,
        room=address.id if isinstance(actor, RoomActor) else None,
    )
    if effect.device is None and isinstance(actor, RoomActor):
        for device in actor.state.members:
            changes.tell(NewCommand(structs.replace(command, device=device)))
    elif effect.device is None and isinstance(actor, DeviceActor):
        commands.send_queued(actor, commands.queue(actor, command, changes), changes)
    else:
        changes.tell(NewCommand(command))


def command_id(actor: Actor, number: int) -> str:
    """The id of the ``number``-th command that ``actor`` gives; an actor made anew gives others."""
    return sha256(f"{actor.address.path} {number} {actor.now_us}".encode()).hexdigest()[:32]


def _own(argument: Any) -> Any:
    """What a handler may change and keep, for all that it does to anybody else."""
    if isinstance(argument, str | bool | Address):
        return argument
    if isinstance(argument, Reading) and isinstance(argument.value, float | int | str):
        return argument
    return copy.deepcopy(argument)


def _fail(actor: Actor, handler: str, args: tuple[Any, ...], error: BaseException, changes: Changes) -> None:
    why = _sentence(actor, error)
    log.error("behaviour raised", actor=str(actor.address), behaviour=_name(actor), handler=handler, error=why)
    failure = Failure(
        actor=actor.address,
        time_us=actor.now_us,
        handler=handler,
        error=why,
        message=_cut(", ".join(map(repr, args)), 4 * ERROR_LIMIT),
    )
    changes.fail(actor, why, failure=failure)


def _sentence(actor: Actor, error: BaseException) -> str:
    """The error, and the line of the behaviour, or of what it called, that raised it."""
    try:
        text = HANDLERS.run(lambda: str(error), of=(type(actor), type(error)))
    except MISTAKES:
        text = "(cannot be told)"
    return _cut(f"{type(error).__name__}: {text}", ERROR_LIMIT) + _place(error)


def _place(error: BaseException) -> str:
    """The last line outside of this package's own machinery, if there is one."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if not trace.tb_frame.f_globals.get("__name__", "").startswith(_OWN):
            place = f" ({trace.tb_frame.f_code.co_filename.rpartition('/')[2]}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _cut(text: str, limit: int) -> str:
    return text.replace("\0", "").encode(errors="replace")[:limit].decode(errors="ignore")


def _name(actor: Actor) -> str:
    return f"{type(actor).__module__}:{type(actor).__qualname__}"
