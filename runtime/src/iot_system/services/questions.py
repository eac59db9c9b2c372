"""Answers what gateways ask: about a partition's own state in its turn, about lists and history from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from iot_system.domain import questions as q
from iot_system.domain.commands import Command
from iot_system.domain.history import STRETCH_BYTES
from iot_system.domain.registry import Credential, Page
from iot_system.domain.twin import MEMBERS_LIMIT
from iot_system.errors import Conflict, Fenced, InvalidInput, IotError, NotFound, Overloaded, TooLarge, Unavailable
from iot_system.ports.clock import Clock
from iot_system.ports.requests import Handler, Requests
from iot_system.ports.store import Store
from iot_system.services.asking import ASK_TIMEOUT_S, answer, refuse
from iot_system.services.changing import CHANGES, Changing
from iot_system.services.partition import NotOwned, Partition
from iot_system.services.recollection import Recollection
from iot_system.services.registrations import entry

if TYPE_CHECKING:
    from iot_system.services.shard import Shard

CREDENTIALS_LIMIT = 16
"""Credentials of one device."""
QUESTIONS_LIMIT = 10_000
QUESTIONS_BYTES_LIMIT = 64 * 1024 * 1024
"""What one shard answers at once, or keeps waiting for its turn: with a store that is away, that is all that come."""
STORE_QUESTIONS = 2
"""What the store is asked by questions at once: commits, and what they need, find a connection of it free."""
log = structlog.get_logger()
_decode: msgspec.msgpack.Decoder[q.Question] = msgspec.msgpack.Decoder(q.Question)
_encode = msgspec.msgpack.Encoder().encode
_OWNERS = (q.GetAccess, q.AddCredential, q.DeleteCredential, q.GetDevice, q.GetRoom, q.Explain)
"""Beside changes, what the owner of a partition alone may answer."""


class Answers:
    """The answering side of `iot_system.services.asking.Asking`, for one shard."""

    def __init__(self, shard: Shard, store: Store, requests: Requests, clock: Clock) -> None:
        self._shard = shard
        self._store = store
        self._requests = requests
        self._clock = clock
        self._recollection = Recollection(store, clock)
        self._changing = Changing(shard, requests, clock, self._recollection.forget)
        self._questions = 0
        self._bytes = 0
        self._store_turns = asyncio.Semaphore(STORE_QUESTIONS)

    async def stop(self) -> None:
        """Make no changes any more; idempotent."""
        await self._changing.stop()

    def to_owner(self, number: int) -> Handler:
        """The handler of questions to the owner of partition ``number``."""

        async def on_question(data: bytes) -> bytes | None:
            return await self._safely(data, lambda question: self._of_partition(number, question))

        return on_question

    async def to_anyone(self, data: bytes) -> bytes | None:
        """The handler of questions that need no owner."""
        return await self._safely(data, self._from_store)

    async def _safely(self, data: bytes, work: Callable[[q.Question], Awaitable[Any]]) -> bytes | None:
        if self._questions >= QUESTIONS_LIMIT or self._bytes + len(data) > QUESTIONS_BYTES_LIMIT:
            return refuse(Overloaded(f"{self._questions} questions wait at shard {self._shard.name}; ask more slowly"))
        self._questions += 1
        self._bytes += len(data)
        try:
            return answer(await work(_decode.decode(data)))
        except (Fenced, NotOwned):
            return None  # the owner has heard the question too
        except IotError as error:
            return refuse(error)
        except Exception:
            log.exception("a question failed")
            return refuse(Unavailable("the actor system failed to answer; its log says why"))
        finally:
            self._questions -= 1
            self._bytes -= len(data)

    async def _from_store(self, question: q.Question) -> Any:
        """Nobody waits for an answer that takes longer: the store is told so."""
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S), self._store_turns:
                return await self._of_store(question)
        except TimeoutError:
            raise Overloaded("the store is busy with questions at present; ask later, or for less at once") from None

    async def _of_store(self, question: q.Question) -> Any:
        store = self._store
        match question:
            case q.ListDevices(room, label, limit, cursor, scopes):
                return await _within_bytes(
                    lambda most: store.list_devices(room=room, label=label, limit=most, cursor=cursor, scopes=scopes),
                    limit,
                )
            case q.ListRooms(limit, cursor, scopes):
                return await _within_bytes(
                    lambda most: store.list_rooms(limit=most, cursor=cursor, scopes=scopes), limit
                )
            case q.ListCommands(device, status, limit, cursor):
                return await _within_bytes(
                    lambda most: store.list_commands(device, status=status, limit=most, cursor=cursor), limit
                )
            case q.ListTokens(limit, cursor):
                return await _within_bytes(lambda most: store.list_tokens(limit=most, cursor=cursor), limit)
            case q.ListAudit(target, by, limit, cursor):
                return await _within_bytes(
                    lambda most: store.list_audit(target=target, by=by, limit=most, cursor=cursor), limit
                )
            case q.GetReadings(query):
                return await store.readings(query)
            case q.GetBuckets(query):
                return await store.buckets(query)
            case q.GetCommand(device, id_):
                return await self._command(device, id_)
            case q.GetRoomCommand(room, id_):
                return _without_bulk(await store.room_command(room, id_))
            case q.GetFailures(actor):
                return await store.failures(actor)
            case q.GetTokens(ids):
                return await store.tokens(ids)
            case q.PutToken(token, by):
                now_us = self._clock.now_us()
                detail = {"name": token.name, "role": token.role, "scopes": msgspec.to_builtins(token.scopes)}
                return await store.put_token(token, entry(by, "put_token", f"tokens/{token.id}", now_us, detail))
            case q.DeleteToken(id_, by):
                now_us = self._clock.now_us()
                return await store.delete_token(id_, entry(by, "delete_token", f"tokens/{id_}", now_us, {}))
        raise InvalidInput(f"{type(question).__name__} needs the owner of a partition")

    async def _of_partition(self, number: int, question: q.Question) -> Any:
        if isinstance(question, CHANGES):
            return await self._changing.make(number, question)
        if not isinstance(question, _OWNERS):
            return await self._from_store(question)
        if isinstance(question, q.GetAccess) and self._shard.owns(number):
            # Whoever sends must not wait for the batch that is applied; but a change under way is announced first.
            async with self._changing.registry:
                return await self._access(self._shard.partition(number), question.ids)
        async with self._shard.turn(number) as partition:
            match question:
                case q.GetAccess(ids):
                    return await self._access(partition, ids)
                case q.GetDevice(id_):
                    return await self._device(partition, id_)
                case q.GetRoom(id_):
                    return await self._room(partition, id_)
                case q.Explain(id_):
                    await self._device(partition, id_)
                    return self._explain(partition)
                case q.AddCredential(credential, by):
                    return await self._add_credential(partition, credential, by)
                case q.DeleteCredential(device, credential, by):
                    return await self._delete_credential(partition, device, credential, by)

    async def _access(self, partition: Partition, ids: list[str]) -> Any:
        found = await self._recollection.access(partition, ids)
        if (size := len(_encode(found))) > STRETCH_BYTES and len(ids) > 1:
            raise TooLarge(f"{len(ids)} devices have {size} bytes; ask for fewer at once")
        return found

    async def _add_credential(self, partition: Partition, credential: Credential, by: str) -> None:
        device = credential.device
        audit = entry(by, "add_credential", f"devices/{device}", self._clock.now_us(), {"credential": credential.id})
        async with self._changing.announcing(device):
            for access in await self._store.access([device]):
                if len(access.credentials) >= CREDENTIALS_LIMIT:
                    raise Conflict(f"device {device!r} has {CREDENTIALS_LIMIT} credentials, the limit: delete one")
            await self._store.add_credential(partition.guard, credential, audit)

    async def _delete_credential(self, partition: Partition, device: str, credential: str, by: str) -> None:
        audit = entry(by, "delete_credential", f"devices/{device}", self._clock.now_us(), {"credential": credential})
        async with self._changing.announcing(device):
            await self._store.delete_credential(partition.guard, device, credential, audit)

    async def _command(self, device: str, id_: str) -> Command:
        for command in await self._store.commands([(device, id_)]):
            return command
        raise NotFound(f"device {device!r} has no command {id_!r}")

    async def _device(self, partition: Partition, id_: str) -> q.DeviceView:
        actor = await partition.device(id_, self._store)
        if actor is None:
            raise NotFound(f"device {id_!r} is not registered")
        actor.now_us = self._clock.now_us()
        return q.DeviceView(actor.device, actor.state)

    async def _room(self, partition: Partition, id_: str) -> q.RoomView:
        actor = await partition.room(id_, self._store)
        if actor is None:
            raise NotFound(f"room {id_!r} is not known")
        actor.now_us = self._clock.now_us()
        registered = dict.fromkeys(await self._store.members(id_, limit=MEMBERS_LIMIT), 0)
        return q.RoomView(actor.room, msgspec.structs.replace(actor.state, members=registered | actor.state.members))

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


async def _within_bytes(page_of: Callable[[int], Awaitable[Page]], limit: int) -> Page:
    """A page that an answer takes: with fewer items than ``limit`` where they are large."""
    while True:
        page = await page_of(limit)
        size = len(_encode(page))
        if size <= STRETCH_BYTES or limit <= 1:
            return page
        limit = max(1, min(limit, len(page.items)) * STRETCH_BYTES // size)


def _without_bulk(commands: list[Command]) -> list[Command]:
    """Without payloads and results where these are more than an answer takes; each device's command has its own."""
    if len(_encode(commands)) <= STRETCH_BYTES:
        return commands
    return [msgspec.structs.replace(command, payload=None, result=None) for command in commands]
