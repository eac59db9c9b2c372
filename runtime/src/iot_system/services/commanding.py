"""Commands, asked of the devices' owners; who waits for one is told by events and asks nobody meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from iot_system.domain import questions
from iot_system.domain.access import Principal, Scope
from iot_system.domain.commands import FINAL, Command, CommandStatus, command_of
from iot_system.domain.payloads import check_size
from iot_system.domain.registry import Device, Page
from iot_system.domain.twin import FAN_OUT_LIMIT
from iot_system.errors import Conflict, IotError, NotFound
from iot_system.ports.commanding import WAIT_LIMIT_S, NewCommand, RoomCommand
from iot_system.ports.events import Events, Gap, Listening, Occurrence, Selection
from iot_system.ports.rooms import Rooms
from iot_system.services.asking import Asking

AT_ONCE = 64
"""Questions of one room's command under way."""
DEVICES_AT_ONCE = 1000
_ITSELF = Principal("viewer", "gateway")
T = TypeVar("T")


class ActorCommands:
    """Implements `iot_system.ports.commanding.Commands`."""

    def __init__(
        self, asking: Asking, events: Events, rooms: Rooms, must_exist: Callable[[str], Awaitable[None]]
    ) -> None:
        self._asking = asking
        self._events = events
        self._rooms = rooms
        self._must_exist = must_exist

    async def put(self, device: str, new: NewCommand) -> Command:
        """See `iot_system.ports.commanding.Commands.put`."""
        return await self._put(device, new, None)

    async def get(self, device: str, id_: str, *, wait_s: float = 0.0) -> Command:
        """See `iot_system.ports.commanding.Commands.get`."""

        async def ask() -> Command:
            return await self._asking.ask_owner(device, questions.GetCommand(device, id_), Command)

        if wait_s <= 0:
            return await ask()
        return await self._until(
            ask,
            lambda command: not command.is_open,
            devices={device},
            wakes=lambda one: one.data.get("id") == id_ and one.data.get("status") in FINAL,
            tells=lambda one: command_of(one.data),
            wait_s=wait_s,
        )

    async def page(
        self,
        device: str,
        *,
        status: CommandStatus | Literal["pending"] | None,
        limit: int,
        cursor: str | None,
        wait_s: float = 0.0,
    ) -> Page:
        """See `iot_system.ports.commanding.Commands.page`."""
        await self._must_exist(device)
        question = questions.ListCommands(device, status, limit, cursor)

        async def ask() -> Page:
            return await self._asking.ask_page(self._asking.partition_of(device), question, Command)

        if wait_s <= 0:
            return await ask()
        return await self._until(
            ask,
            lambda page: bool(page.items),
            devices={device},
            wakes=lambda _: True,
            wait_s=wait_s,
        )

    async def take(self, device: str, *, wait_s: float = 0.0) -> list[Command]:
        """See `iot_system.ports.commanding.Commands.take`."""

        async def ask() -> list[Command]:
            return await self._asking.ask_owner(device, questions.TakeCommands(device), list[Command])

        if wait_s <= 0:
            return await ask()
        return await self._until(
            ask, bool, devices={device}, wakes=lambda one: one.data.get("status") not in FINAL, wait_s=wait_s
        )

    async def cancel(self, device: str, id_: str, *, by: str) -> Command:
        """See `iot_system.ports.commanding.Commands.cancel`."""
        return await self._asking.ask_owner(device, questions.CancelCommand(device, id_, by), Command)

    async def put_in_room(self, room: str, new: NewCommand, *, scopes: tuple[Scope, ...] = ()) -> RoomCommand:
        """See `iot_system.ports.commanding.Commands.put_in_room`."""
        devices = await self._devices_of(room, scopes)
        if not devices:
            await self._rooms.get(room)
            raise Conflict(f"room {room!r} has no devices; a command needs one at least")
        check_size(new.payload, field="payload", limit=FAN_OUT_LIMIT, devices=len(devices))
        gate = asyncio.Semaphore(AT_ONCE)

        async def put(device: str) -> Command | IotError:
            async with gate:
                try:
                    return await self._put(device, new, room)
                except IotError as error:
                    return error

        outcomes = dict(zip(devices, await asyncio.gather(*map(put, devices)), strict=True))
        return RoomCommand(
            new.id,
            [one for one in outcomes.values() if isinstance(one, Command)],
            {device: one for device, one in outcomes.items() if isinstance(one, IotError)},
        )

    async def of_room(
        self, room: str, id_: str, *, wait_s: float = 0.0, scopes: tuple[Scope, ...] = ()
    ) -> list[Command]:
        """See `iot_system.ports.commanding.Commands.of_room`."""
        in_sight = set(await self._devices_of(room, scopes)) if scopes else None

        async def ask() -> list[Command]:
            found = await self._asking.ask(None, questions.GetRoomCommand(room, id_), list[Command])
            if in_sight is not None:
                found = [command for command in found if command.device in in_sight]
            if not found:
                raise NotFound(f"room {room!r} has no command {id_!r}")
            return found

        commands = await ask()
        if wait_s <= 0:
            return commands
        return await self._until(
            ask,
            lambda found: not any(command.is_open for command in found),
            devices={command.device for command in commands},
            wakes=lambda one: one.data.get("id") == id_ and one.data.get("status") in FINAL,
            wait_s=wait_s,
        )

    async def _put(self, device: str, new: NewCommand, room: str | None) -> Command:
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
        return await self._asking.ask_owner(device, questions.PutCommand(command, new.is_fresh), Command)

    async def _devices_of(self, room: str, scopes: tuple[Scope, ...]) -> list[str]:
        ids: list[str] = []
        cursor: str | None = None
        while True:
            question = questions.ListDevices(room, None, DEVICES_AT_ONCE, cursor, scopes)
            page = await self._asking.ask_page(None, question, Device)
            ids += [device.id for device in page.items]
            if (cursor := page.cursor) is None:
                return ids

    async def _until(
        self,
        ask: Callable[[], Awaitable[T]],
        is_enough: Callable[[T], bool],
        *,
        devices: set[str],
        wakes: Callable[[Occurrence], bool],
        wait_s: float,
        tells: Callable[[Occurrence], T] | None = None,
    ) -> T:
        """Ask again at each event that ``wakes``, until the answer ``is_enough`` or ``wait_s`` are over.

        Listens first: nothing can happen between an answer and the next event unheard. Where the event ``tells`` the
        answer, it comes as soon as it is committed, and nobody is asked again.
        """
        deadline_s = asyncio.get_running_loop().time() + min(wait_s, WAIT_LIMIT_S)
        selection = Selection(devices=frozenset(devices), kinds=frozenset({"command"}))
        listening = await self._events.listen(_ITSELF, selection, soon=tells is not None)
        try:
            while not is_enough(answer := await ask()):
                one = await _woken(listening, wakes, deadline_s)
                if one is None:
                    break
                if tells is not None and isinstance(one, Occurrence):
                    return tells(one)
            return answer
        finally:
            await listening.leave()


async def _woken(
    listening: Listening, wakes: Callable[[Occurrence], bool], deadline_s: float
) -> Occurrence | Gap | None:
    """The next event that ``wakes``, or a gap, which may have been one; None at the deadline."""
    loop = asyncio.get_running_loop()
    while (left_s := deadline_s - loop.time()) > 0 and not listening.is_over:
        one = await listening.next(timeout_s=left_s)
        if isinstance(one, Gap) or (one is not None and wakes(one)):
            return one
    return None
