"""Changes by users: all that wait for the same turn are made in one commit, each of them whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from iot_system.actors.changes import Changes
from iot_system.domain import questions as q
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command
from iot_system.errors import IotError, NotFound, Unavailable
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Requests
from iot_system.ports.store import Store
from iot_system.services import registrations
from iot_system.services.asking import ASK_TIMEOUT_S
from iot_system.services.partition import NotOwned, Partition
from iot_system.services.turn import Share

if TYPE_CHECKING:
    from iot_system.services.shard import Shard

AT_ONCE = 256
"""Changes in one commit."""
Registering: TypeAlias = q.PutDevices | q.PatchDevice | q.DeleteDevice
Change: TypeAlias = (
    Registering
    | q.PutRoom
    | q.PatchRoom
    | q.DeleteRoom
    | q.PatchDesired
    | q.PatchRoomDesired
    | q.PutCommand
    | q.CancelCommand
    | q.TakeCommands
)
CHANGES = (
    *(q.PutDevices, q.PatchDevice, q.DeleteDevice, q.PutRoom, q.PatchRoom, q.DeleteRoom),
    *(q.PatchDesired, q.PatchRoomDesired, q.PutCommand, q.CancelCommand, q.TakeCommands),
)
_ALONE = (q.PutDevices, q.DeleteDevice, q.DeleteRoom)
"""What comes into being or goes must not be changed by others in the same commit."""
log = structlog.get_logger()


class Asked:
    """One change that somebody waits for."""

    def __init__(self, number: int, question: Change, *, deadline_s: float) -> None:
        self.number = number
        self.question = question
        self.deadline_s = deadline_s
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def refuse(self, error: Exception) -> None:
        """The change was not made, or nobody knows whether it was."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Changing:
    """Takes changes as they come; a task of its own makes them."""

    def __init__(self, shard: Shard, requests: Requests, clock: Clock, on_changed: Callable[[str], None]) -> None:
        """``on_changed`` is told of each device that has changed, or may have, before gateways are."""
        self._shard = shard
        self._requests = requests
        self._clock = clock
        self._on_changed = on_changed
        self._waiting: deque[Asked] = deque()
        self._working: asyncio.Task[None] | None = None
        self.registry = asyncio.Lock()
        """Held while registrations change, until that is announced."""

    async def make(self, number: int, question: Change) -> Any:
        """Return the result once it is committed. Raises `NotOwned` or `Fenced` where another shard owns ``number``.

        Nothing has happened after an error that the change itself is to blame for; after `Unavailable` it may have.
        """
        asked = Asked(number, question, deadline_s=self._clock.monotonic_s() + ASK_TIMEOUT_S)
        self._waiting.append(asked)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await asked.answer

    async def stop(self) -> None:
        """Refuse what waits; idempotent."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        for asked in self._waiting:
            asked.refuse(Unavailable("the shard stops"))
        self._waiting.clear()

    async def _work(self) -> None:
        while self._waiting:
            async with self._shard.whole_turn():  # who comes while we wait for it, comes along
                group = Group(self._take(), self._shard.owned, now_us=self._clock.now_us())
                try:
                    await self._make(group)
                except IotError as error:
                    group.refuse(error)
                except Exception:
                    log.exception("changes failed", shard=self._shard.name)
                    group.refuse(Unavailable("the actor system failed to make the change; its log says why"))
                except asyncio.CancelledError:
                    group.refuse(Unavailable("the shard stops"))
                    raise
            group.answer(self._shard.owned)

    async def _make(self, group: Group) -> None:
        if not group.registered:
            await self._shard.change(group)
            return
        async with self.announcing(*group.registered):
            await self._shard.change(group)

    @contextlib.asynccontextmanager
    async def announcing(self, *ids: str) -> AsyncIterator[None]:
        """Tell gateways that these devices change, also after a failure: then it may have happened."""
        async with self.registry:
            try:
                yield
            finally:
                for id_ in ids:
                    self._on_changed(id_)
                    try:
                        await self._requests.announce(id_)
                    except IotError as error:
                        log.warning("a change was not announced", device=id_, why=str(error))

    def _take(self) -> list[Asked]:
        """The first that wait: as many as may be made together, without those whom nobody waits for any more."""
        taken: list[Asked] = []
        while self._waiting and len(taken) < AT_ONCE:
            if taken and isinstance(self._waiting[0].question, _ALONE):
                break
            asked = self._waiting.popleft()
            if self._clock.monotonic_s() > asked.deadline_s:
                asked.refuse(Unavailable("the shard was busy for too long"))
                continue
            taken.append(asked)
            if isinstance(asked.question, _ALONE):
                break
        return taken


class Group:
    """Implements `iot_system.services.turn.Work` for changes that are made together."""

    def __init__(self, asked: list[Asked], owned: Mapping[int, Partition], *, now_us: int) -> None:
        self._now_us = now_us
        self._asked: list[tuple[Asked, Partition]] = []
        self._results: list[tuple[Asked, Partition, Any]] = []
        self._known: dict[tuple[str, str], Command] = {}
        self._members: dict[str, list[str]] = {}
        for one in asked:
            if (partition := owned.get(one.number)) is None:
                one.refuse(NotOwned(f"partition {one.number} has just moved away"))
            else:
                self._asked.append((one, partition))

    @property
    def partitions(self) -> list[int]:
        """See `Loaded.partitions`."""
        return sorted({partition.number for _, partition in self._asked})

    @property
    def registered(self) -> list[str]:
        """Devices whose registrations change."""
        found: list[str] = []
        for one, _ in self._asked:
            match one.question:
                case q.PutDevices(devices):
                    found += [device.id for device in devices]
                case q.PatchDevice(id_) | q.DeleteDevice(id_):
                    found.append(id_)
        return found

    async def load(self, store: Store) -> None:
        """See `Loaded.load`."""
        wanted: dict[int, tuple[Partition, set[str], set[str]]] = {}
        for one, partition in self._asked:
            _, devices, rooms = wanted.setdefault(partition.number, (partition, set(), set()))
            for actor in _changed(one.question):
                (devices if actor.kind == "device" else rooms).add(actor.id)
        for partition, devices, rooms in wanted.values():
            await partition.activate(devices, rooms, store)
        commands: list[tuple[str, str]] = []
        for one, _ in self._asked:
            match one.question:
                case q.PutCommand(command, is_fresh) if not is_fresh:
                    commands.append((command.device, command.id))
                case q.CancelCommand(device, id_):
                    commands.append((device, id_))
                case q.DeleteRoom(id_):
                    self._members[id_] = await store.members(id_, limit=1)
        if commands:
            self._known = {(command.device, command.id): command for command in await store.commands(commands)}

    def apply(self) -> list[Share]:
        """See `Work.apply`; what breaks a rule is refused afterwards, the rest goes on."""
        shares: dict[int, Share] = {}
        for one, partition in self._asked:
            share = shares.get(partition.number)
            if share is None:
                share = shares[partition.number] = Share(partition, Changes())
            try:
                self._results.append((one, partition, self._change(share, one.question)))
            except IotError as error:
                self._results.append((one, partition, error))
        return list(shares.values())

    def answer(self, owned: Mapping[int, Partition]) -> None:
        """All is committed but what belongs to another shard by now."""
        for one, partition, result in self._results:
            if owned.get(partition.number) is not partition:
                one.refuse(NotOwned(f"partition {partition.number} has just moved away"))
            elif isinstance(result, IotError):
                one.refuse(result)
            elif not one.answer.done():
                one.answer.set_result(result)

    def refuse(self, error: Exception) -> None:
        """Refuse all that were not refused before."""
        for one, _ in self._asked:
            one.refuse(error)

    def _change(self, share: Share, question: Change) -> Any:
        actors, changes, now_us = share.partition.actors, share.changes, self._now_us
        match question:
            case q.PutDevices(devices, by):
                return registrations.put_devices(share, devices, by=by, now_us=now_us)
            case q.PatchDevice(id_, patch, by):
                return registrations.patch_device(share, id_, patch, by=by, now_us=now_us)
            case q.DeleteDevice(id_, by):
                return registrations.delete_device(share, id_, by=by, now_us=now_us)
            case q.PutRoom(room, by):
                return registrations.put_room(share, room, by=by, now_us=now_us)
            case q.PatchRoom(id_, patch, by):
                return registrations.patch_room(share, id_, patch, by=by, now_us=now_us)
            case q.DeleteRoom(id_, by):
                member = next(iter(self._members[id_]), None)
                return registrations.delete_room(share, id_, member, by=by, now_us=now_us)
            case q.PatchDesired(id_, patch, if_version, by):
                view = actors.patch_desired(id_, patch, changes, if_version=if_version, by=by, now_us=now_us)
                registrations.note(share, by, "patch_desired", Address("device", id_), now_us, patch)
                return view
            case q.PatchRoomDesired(id_, patch, if_version, by):
                view = actors.patch_room_desired(id_, patch, changes, if_version=if_version, by=by, now_us=now_us)
                registrations.note(share, by, "patch_desired", Address("room", id_), now_us, patch)
                return view
            case q.PutCommand(command):
                return self._put_command(share, command)
            case q.CancelCommand(device, id_, by):
                return self._cancel_command(share, device, id_, by)
            case q.TakeCommands(device):
                return actors.take_commands(device, changes, now_us=now_us)

    def _put_command(self, share: Share, command: Command) -> Command:
        key, changes = (command.device, command.id), share.changes
        known = changes.commands.get(key) or self._known.get(key)
        made = share.partition.actors.put_command(command, changes, now_us=self._now_us, known=known)
        if known is None:
            device = Address("device", command.device)
            detail = {"id": command.id, "name": command.name}
            registrations.note(share, command.created_by, "put_command", device, self._now_us, detail)
        return made

    def _cancel_command(self, share: Share, device: str, id_: str, by: str) -> Command:
        changes, key, now_us = share.changes, (device, id_), self._now_us
        cancelled = share.partition.actors.cancel_command(device, id_, changes, by=by, now_us=now_us)
        if cancelled is not None:
            registrations.note(share, by, "cancel_command", Address("device", device), now_us, {"id": id_})
            return cancelled
        if (known := changes.commands.get(key) or self._known.get(key)) is None:
            raise NotFound(f"device {device!r} has no command {id_!r}")
        return known


def _changed(question: Change) -> list[Address]:
    """The actors that a change needs in memory."""
    match question:
        case q.PutDevices(devices):
            return [Address("device", device.id) for device in devices]
        case q.PutCommand(command):
            return [Address("device", command.device)]
        case q.PatchDevice(id_) | q.DeleteDevice(id_) | q.PatchDesired(id_):
            return [Address("device", id_)]
        case q.CancelCommand(id_) | q.TakeCommands(id_):
            return [Address("device", id_)]
        case q.PutRoom(room):
            return [Address("room", room.id)]
        case q.PatchRoom(id_) | q.DeleteRoom(id_) | q.PatchRoomDesired(id_):
            return [Address("room", id_)]
