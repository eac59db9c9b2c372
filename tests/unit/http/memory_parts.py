"""The parts of a gateway beside devices and telemetry, in memory: commands, rooms, administration, events."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from iot_system.domain.access import Principal, Role, Scope
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command, CommandStatus, check_command
from iot_system.domain.merge import merge_patch
from iot_system.domain.questions import DesiredView, Failure, RoomView
from iot_system.domain.registry import ApiToken, AuditEntry, Device, Page, Room
from iot_system.domain.twin import RoomState
from iot_system.errors import Conflict, InvalidInput, IotError, NotFound, PreconditionFailed
from iot_system.ports.administration import IssuedApiToken
from iot_system.ports.commanding import NewCommand, RoomCommand
from iot_system.ports.events import Gap, Occurrence, Position, Selection

Check = Callable[[], None]
"""Raises what a test set."""


def page_of(items: list[Any], limit: int, cursor: str | None, key: Callable[[Any], str]) -> Page:
    """By ``key``, behind ``cursor``."""
    behind = [one for one in sorted(items, key=key) if cursor is None or key(one) > cursor]
    return Page(items=behind[:limit], cursor=key(behind[limit - 1]) if len(behind) > limit else None)


def merge_desired(before: dict[str, Any], version: int, patch: dict[str, Any], if_version: int | None) -> DesiredView:
    """Raises `PreconditionFailed`."""
    if if_version not in (None, version):
        raise PreconditionFailed(f"the version is {version}, not {if_version}")
    return DesiredView(merge_patch(before, patch), version + 1)


class MemoryRooms:
    """Implements `iot_system.ports.rooms.Rooms`; ``states`` are those that were heard of or registered."""

    def __init__(self, check: Check, devices: Mapping[str, Device]) -> None:
        self.states: dict[str, RoomState] = {}
        self.registered: dict[str, Room] = {}
        self._check = check
        self._devices = devices

    async def get(self, id_: str) -> RoomView:
        self._check()
        members = dict.fromkeys((one.id for one in self._devices.values() if one.room == id_), 0)
        if id_ not in self.states and id_ not in self.registered and not members:
            raise NotFound(f"nothing was heard of room {id_!r} yet")
        state = self.states.get(id_, RoomState())
        state = msgspec.structs.replace(state, members=members | state.members)
        return RoomView(self.registered.get(id_, Room(id=id_)), state)

    async def page(self, *, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()) -> Page:
        self._check()
        ids = {*self.states, *self.registered}
        rooms = [self.registered.get(id_, Room(id=id_)) for id_ in ids]
        seer = Principal("viewer", "v", scopes)
        return page_of(
            [one for one in rooms if seer.sees(room=one.id, labels=one.labels)], limit, cursor, lambda one: one.id
        )

    async def put(self, room: Room, *, by: str) -> Room:
        self._check()
        if before := self.registered.get(room.id):
            room = msgspec.structs.replace(room, created_us=before.created_us)
        self.registered[room.id] = room
        return room

    async def patch(self, id_: str, patch: dict[str, Any], *, by: str) -> Room:
        before = (await self.get(id_)).room
        self.registered[id_] = msgspec.convert(merge_patch(msgspec.to_builtins(before), patch), Room)
        return self.registered[id_]

    async def delete(self, id_: str, *, by: str) -> None:
        await self.get(id_)
        if any(one.room == id_ for one in self._devices.values()):
            raise Conflict(f"devices are registered in room {id_!r}")
        self.registered.pop(id_, None)
        self.states.pop(id_, None)

    async def patch_desired(self, id_: str, patch: dict[str, Any], *, if_version: int | None, by: str) -> DesiredView:
        await self.get(id_)
        state = self.states.setdefault(id_, RoomState())
        view = merge_desired(state.desired, state.desired_version, patch, if_version)
        state.desired, state.desired_version = view.desired, view.version
        return view


class MemoryCommands:
    """Implements `iot_system.ports.commanding.Commands`; nobody waits: what is not there yet is not told."""

    def __init__(self, check: Check, devices: Mapping[str, Device], rooms: MemoryRooms) -> None:
        self.commands: dict[tuple[str, str], Command] = {}
        self.waits: list[float] = []
        self._check = check
        self._devices = devices
        self._rooms = rooms

    async def put(self, device: str, new: NewCommand, *, room: str | None = None) -> Command:
        self._known(device)
        command = Command(
            id=new.id,
            device=device,
            name=new.name,
            payload=new.payload,
            created_us=new.created_us,
            updated_us=new.created_us,
            expires_us=new.expires_us,
            created_by=new.by,
            room=room,
        )
        check_command(command)
        before = self.commands.setdefault((device, new.id), command)
        if (before.name, before.payload) != (command.name, command.payload):
            raise Conflict(f"device {device!r} has another command {new.id!r}")
        return before

    async def get(self, device: str, id_: str, *, wait_s: float = 0.0) -> Command:
        self._known(device)
        self.waits.append(wait_s)
        if (device, id_) not in self.commands:
            raise NotFound(f"device {device!r} has no command {id_!r}")
        return self.commands[device, id_]

    async def page(
        self,
        device: str,
        *,
        status: CommandStatus | Literal["pending"] | None,
        limit: int,
        cursor: str | None,
        wait_s: float = 0.0,
    ) -> Page:
        self._known(device)
        self.waits.append(wait_s)
        chosen = [one for (owner, _), one in self.commands.items() if owner == device]
        if status == "pending":
            chosen = [one for one in chosen if one.is_open]
        elif status is not None:
            chosen = [one for one in chosen if one.status == status]
        return page_of(chosen, limit, cursor, lambda one: one.id)

    async def take(self, device: str, *, wait_s: float = 0.0) -> list[Command]:
        self._known(device)
        self.waits.append(wait_s)
        taken = [one for (owner, _), one in self.commands.items() if owner == device and one.is_open]
        for one in taken:
            self.commands[device, one.id] = one.moved("delivered", now_us=one.updated_us)
        return [self.commands[device, one.id] for one in taken]

    async def cancel(self, device: str, id_: str, *, by: str) -> Command:
        command = await self.get(device, id_)
        self.commands[device, id_] = command.moved("cancelled", now_us=command.updated_us, reason=f"by {by}")
        return self.commands[device, id_]

    async def put_in_room(self, room: str, new: NewCommand, *, scopes: tuple[Scope, ...] = ()) -> RoomCommand:
        await self._rooms.get(room)
        commands: list[Command] = []
        refused: dict[str, IotError] = {}
        for device in self._devices.values():
            if device.room == room:
                try:
                    commands.append(await self.put(device.id, new, room=room))
                except IotError as error:
                    refused[device.id] = error
        if not commands and not refused:
            raise Conflict(f"room {room!r} has no devices")
        return RoomCommand(new.id, commands, refused)

    async def of_room(
        self, room: str, id_: str, *, wait_s: float = 0.0, scopes: tuple[Scope, ...] = ()
    ) -> list[Command]:
        self._check()
        self.waits.append(wait_s)
        found = [one for one in self.commands.values() if (one.room, one.id) == (room, id_)]
        if not found:
            raise NotFound(f"room {room!r} has no command {id_!r}")
        return found

    def _known(self, device: str) -> None:
        self._check()
        if device not in self._devices:
            raise NotFound(f"device {device!r} is not registered")


class MemoryAdministration:
    """Implements `iot_system.ports.administration.Administration`."""

    def __init__(self, check: Check, now_us: Callable[[], int]) -> None:
        self.tokens: dict[str, ApiToken] = {}
        self.entries: list[AuditEntry] = []
        self.kept_failures: dict[Address, list[Failure]] = {}
        self._check = check
        self._now_us = now_us

    async def issue_api_token(
        self, name: str, role: Role, scopes: tuple[Scope, ...], *, expires_us: int | None, by: str
    ) -> IssuedApiToken:
        self._check()
        id_ = secrets.token_hex(8)
        secret = f"api.{id_}.{secrets.token_urlsafe(32)}"
        token = ApiToken(
            id=id_,
            name=name,
            role=role,
            scopes=scopes,
            sha256=hashlib.sha256(secret.encode()).digest(),
            created_us=self._now_us(),
            expires_us=expires_us,
            created_by=by,
        )
        self.tokens[id_] = token
        return IssuedApiToken(token, secret)

    async def list_api_tokens(self, *, limit: int, cursor: str | None) -> Page:
        self._check()
        return page_of(list(self.tokens.values()), limit, cursor, lambda one: one.id)

    async def revoke_api_token(self, id_: str, *, by: str) -> None:
        self._check()
        if self.tokens.pop(id_, None) is None:
            raise NotFound(f"there is no API token {id_!r}")

    async def audit(self, *, target: str | None, by: str | None, limit: int, cursor: str | None) -> Page:
        self._check()
        if cursor is not None:
            raise InvalidInput("cursor was given by no answer")
        chosen = [one for one in self.entries if target in (None, one.target) and by in (None, one.by)]
        return Page(items=chosen[:limit], cursor=None)

    async def failures(self, actor: Address) -> list[Failure]:
        self._check()
        return self.kept_failures.get(actor, [])


class MemoryListening:
    """Implements `iot_system.ports.events.Listening`; what there is, and then the end."""

    def __init__(self, queue: list[Occurrence | Gap]) -> None:
        self.position = Position(0, 0)
        self._queue = queue

    @property
    def is_over(self) -> bool:
        return not self._queue

    async def next(self, *, timeout_s: float) -> Occurrence | Gap | None:
        if not self._queue:
            return None
        one = self._queue.pop(0)
        self.position = one.position
        return one

    def close(self) -> None:
        self._queue.clear()

    async def leave(self) -> None:
        self.close()


class MemoryEvents:
    """Implements `iot_system.ports.events.Events`; ``happened`` is told to whoever comes next."""

    def __init__(self, check: Check) -> None:
        self.happened: list[Occurrence | Gap] = []
        self.asked: list[tuple[Principal, Selection, Position | None]] = []
        self._check = check

    async def listen(
        self, principal: Principal, selection: Selection, *, after: Position | None = None, soon: bool = False
    ) -> MemoryListening:
        self._check()
        self.asked.append((principal, selection, after))
        return MemoryListening([one for one in self.happened if isinstance(one, Gap) or selection.takes(one)])
