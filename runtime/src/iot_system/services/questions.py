"""Answers what gateways ask: about a partition's own state in its turn, about lists and history from the store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from iot_system.actors.behaviours import load_behaviour
from iot_system.domain import questions as q
from iot_system.domain.history import STRETCH_BYTES
from iot_system.domain.ids import check_id
from iot_system.domain.merge import merge_patch
from iot_system.domain.registry import Device, Page, check_labels
from iot_system.errors import Fenced, InvalidInput, IotError, NotFound, Unavailable
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Handler, Requests
from iot_system.ports.store import Store
from iot_system.services.asking import answer, refusal_of, refuse
from iot_system.services.partition import NotOwned, Partition

if TYPE_CHECKING:
    from iot_system.services.shard import Shard

log = structlog.get_logger()
_decode: msgspec.msgpack.Decoder[q.Question] = msgspec.msgpack.Decoder(q.Question)
_encode = msgspec.msgpack.Encoder().encode


class Answers:
    """The answering side of `iot_system.services.asking.Asking`, for one shard."""

    def __init__(self, shard: Shard, store: Store, requests: Requests, clock: Clock) -> None:
        self._shard = shard
        self._store = store
        self._requests = requests
        self._clock = clock
        self._registry = asyncio.Lock()

    def to_owner(self, number: int) -> Handler:
        """The handler of questions to the owner of partition ``number``."""

        async def on_question(data: bytes) -> bytes | None:
            return await self._safely(data, lambda question: self._of_partition(number, question))

        return on_question

    async def to_anyone(self, data: bytes) -> bytes | None:
        """The handler of questions that need no owner."""
        return await self._safely(data, self._of_store)

    async def _safely(self, data: bytes, work: Callable[[q.Question], Awaitable[Any]]) -> bytes | None:
        try:
            return answer(await work(_decode.decode(data)))
        except (Fenced, NotOwned):
            return None  # the owner has heard the question too
        except IotError as error:
            return refuse(error)
        except Exception:
            log.exception("a question failed")
            return refuse(Unavailable("the actor system failed to answer; its log says why"))

    async def _of_store(self, question: q.Question) -> Any:
        store = self._store
        match question:
            case q.ListDevices(room, label, limit, cursor):
                page = await store.list_devices(room=room, label=label, limit=limit, cursor=cursor)
                return _within_bytes(page)
            case q.ListRooms(limit, cursor):
                return await store.list_rooms(limit=limit, cursor=cursor)
            case q.GetReadings(query):
                return await store.readings(query)
            case q.GetBuckets(query):
                return await store.buckets(query)
        raise InvalidInput(f"{type(question).__name__} needs the owner of a partition")

    async def _of_partition(self, number: int, question: q.Question) -> Any:
        if isinstance(question, q.GetAccess) and self._shard.owns(number):
            # Whoever sends must not wait for the batch that is applied; but a change under way is announced first.
            async with self._registry:
                return await self._store.access(question.ids)
        async with self._shard.turn(number) as partition, self._registry:
            match question:
                case q.GetAccess(ids):
                    return await self._store.access(ids)
                case q.GetDevice(id_):
                    return await self._device(partition, id_)
                case q.GetRoom(id_):
                    return await self._room(partition, id_)
                case q.Explain(id_):
                    await self._device(partition, id_)
                    return self._explain(partition)
                case q.PutDevices(devices):
                    return await self._put(partition, devices)
                case q.PatchDevice(id_, patch):
                    return await self._patch(partition, id_, patch)
                case q.DeleteDevice(id_):
                    async with self._changing(partition, id_):
                        await self._store.delete_device(partition.guard, id_)
                        partition.actors.devices.pop(id_, None)
                        return None
                case q.AddCredential(credential):
                    async with self._changing(partition, credential.device):
                        return await self._store.add_credential(partition.guard, credential)
                case q.DeleteCredential(device, credential):
                    async with self._changing(partition, device):
                        return await self._store.delete_credential(partition.guard, device, credential)
        raise InvalidInput(f"{type(question).__name__} is not a question to the owner of a partition")

    @contextlib.asynccontextmanager
    async def _changing(self, partition: Partition, *ids: str) -> AsyncIterator[None]:
        """Announce what changes. A write that failed may have happened: its actors begin again from the store."""
        try:
            yield
        except BaseException:
            for id_ in ids:
                partition.actors.devices.pop(id_, None)
            raise
        finally:
            for id_ in ids:
                await self._requests.announce(id_)

    async def _device(self, partition: Partition, id_: str) -> q.DeviceView:
        actor = await partition.device(id_, self._store)
        if actor is None:
            raise NotFound(f"device {id_!r} is not registered")
        actor.last_used_s = self._clock.monotonic_s()
        return q.DeviceView(actor.device, actor.state)

    async def _room(self, partition: Partition, id_: str) -> q.RoomView:
        room = await partition.room(id_, self._store)
        if room is None:
            raise NotFound(f"nothing was heard of room {id_!r} yet")
        room.last_used_s = self._clock.monotonic_s()
        return q.RoomView(id_, room.state)

    def _explain(self, partition: Partition) -> q.Explanation:
        return q.Explanation(
            partition=partition.number,
            shard=self._shard.name,
            node=self._shard.node,
            epoch=partition.epoch,
            applied=partition.applied,
            lag=self._shard.lag,
            last_error=partition.last_error,
        )

    async def _put(self, partition: Partition, devices: list[Device]) -> q.Registered:
        good: list[Device] = []
        refused: dict[str, q.Refusal] = {}
        for device in devices:
            try:
                check_device(device)
                good.append(device)
            except InvalidInput as error:
                refused[device.id] = refusal_of(error)
        if not good:
            return q.Registered([], refused)
        async with self._changing(partition, *(device.id for device in good)):
            return q.Registered(await self._store.put_devices(partition.guard, good), refused)

    async def _patch(self, partition: Partition, id_: str, patch: dict[str, Any]) -> Device:
        if unknown := patch.keys() - {"room", "behaviour", "labels", "enabled"}:
            raise InvalidInput(f"{min(unknown)!r} cannot be changed; room, behaviour, labels and enabled can")
        before = (await self._device(partition, id_)).device
        try:
            changed = msgspec.convert(merge_patch(msgspec.to_builtins(before), patch), Device)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"the patch does not fit a device: {error}") from error
        changed = msgspec.structs.replace(changed, updated_us=self._clock.now_us())
        check_device(changed)
        async with self._changing(partition, id_):
            await self._store.save_device(partition.guard, changed)
            partition.actors.activate_device(changed, partition.actors.devices[id_].state)
        return changed


def _within_bytes(page: Page) -> Page:
    """The first devices of a page, as many as an answer takes."""
    left = STRETCH_BYTES
    for count, device in enumerate(page.items):
        left -= len(_encode(device))
        if count and left < 0:
            return Page(items=page.items[:count], cursor=page.items[count - 1].id)
    return page


def check_device(device: Device) -> None:
    """Raises `InvalidInput` with the first rule that a registration breaks."""
    check_id(device.id, field="id")
    if device.room is not None:
        check_id(device.room, field="room")
    check_labels(device.labels)
    load_behaviour(device.behaviour)
