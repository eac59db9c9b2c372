"""The gateway: authenticates, checks, frames, waits for the durable acknowledgement, then answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import msgspec
from prometheus_client import Counter

from iot_system.domain import questions
from iot_system.domain.access import Scope
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.ids import is_id
from iot_system.domain.permissions import check_speaks
from iot_system.domain.questions import DeviceView, Explanation, RoomView
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page
from iot_system.errors import Conflict, Forbidden, IotError, NotFound, Retry, Unauthenticated
from iot_system.ports.clock import Clock
from iot_system.ports.gateway import Imported, IssuedToken, Principal
from iot_system.ports.requests import Requests
from iot_system.ports.stream import Stream
from iot_system.services.asking import Asking, error_of
from iot_system.services.directory import Directory
from iot_system.services.writer import PartitionWriter

MESSAGES = Counter("iot_gateway_messages_total", "Telemetry messages made durable")
FRAMES = Counter("iot_gateway_frames_total", "Frames published")
DISABLED = "device {id!r} is disabled"
REGISTER_AT_ONCE = 5000
"""Devices in one question, so that it fits the broker and its answer comes in time."""
UNKNOWN = "device {id!r} is not registered"


class ActorGateway:
    """Implements `iot_system.ports.gateway.Gateway` over the stream and request-reply."""

    def __init__(
        self, stream: Stream, requests: Requests, clock: Clock, *, partitions: int, admin_token: str | None
    ) -> None:
        self._requests = requests
        self._clock = clock
        self._asking = Asking(requests, partitions)
        self._directory = Directory(self._asking, clock)
        self._writers = [PartitionWriter(number, stream, _count) for number in range(partitions)]
        self._admin_sha256 = _sha256(admin_token) if admin_token else None
        self.now_us = clock.now_us

    async def start(self) -> None:
        """Listen for changes of devices."""
        await self._requests.on_announcement(self._directory.forget)

    async def stop(self) -> None:
        """Return when all that was accepted is durable or refused."""
        await asyncio.gather(*(writer.drain() for writer in self._writers))

    async def authenticate(self, token: str, *, device: str | None = None) -> Principal:
        """See `iot_system.ports.gateway.Gateway.authenticate`."""
        hashed = _sha256(token)
        if device is None and self._admin_sha256 and hmac.compare_digest(hashed, self._admin_sha256):
            return Principal("admin", "admin")
        owner, _, secret = token.rpartition(".")
        if not secret or (device is not None and owner != device) or not is_id(owner):
            raise Unauthenticated("the token is not valid")
        access = await self._directory.get(owner)
        if access is None or not any(hmac.compare_digest(hashed, one.sha256) for one in access.credentials):
            raise Unauthenticated("the token is not valid")
        if not access.device.enabled:
            raise Forbidden(DISABLED.format(id=owner))
        return Principal("device", owner)

    async def registered(self, device: str) -> Device | None:
        """See `iot_system.ports.gateway.Gateway.registered`."""
        access = await self._directory.get(device)
        return access.device if access else None

    async def ingest(self, principal: Principal, messages: Sequence[Telemetry]) -> list[Exception | None]:
        """See `iot_system.ports.gateway.Gateway.ingest`."""
        batch = _Batch(principal, messages)
        by_device: dict[str, list[int]] = {}
        for index, message in enumerate(messages):
            by_device.setdefault(message.device, []).append(index)
        to_partition: dict[int, list[int]] = {}
        to_look_up: list[str] = []
        for id_, indexes in by_device.items():
            hit, access = self._directory.cached(id_)
            if not hit:
                to_look_up.append(id_)
            elif problem := batch.why_not(id_, access):
                batch.refuse(indexes, problem)
            else:
                to_partition.setdefault(self._asking.partition_of(id_), []).extend(indexes)
        # All that is known is queued before the first await, the rest as its look-ups end: so calls keep their order.
        for partition, indexes in to_partition.items():
            batch.put(self._writers[partition], sorted(indexes))
        looked_up = self._directory.look_up(to_look_up)
        for id_, future in looked_up.items():
            writer = self._writers[self._asking.partition_of(id_)]
            future.add_done_callback(partial(batch.put_if_known, id_, by_device[id_], writer))
        if looked_up:
            await asyncio.wait(looked_up.values())
        results = await batch.results()
        if results and all(isinstance(problem, Retry) for problem in results):
            raise cast("Retry", results[0])
        return results

    async def create_device(self, device: Device) -> Device:
        """See `iot_system.ports.gateway.Gateway.create_device`."""
        device = self._stamped(device)
        imported = await self.import_devices([device])
        if refused := imported.refused.get(device.id):
            raise refused
        if imported.existing:
            raise Conflict(f"device {device.id!r} exists already")
        return device

    async def import_devices(self, devices: Sequence[Device]) -> Imported:
        """See `iot_system.ports.gateway.Gateway.import_devices`."""
        by_partition: dict[int, list[Device]] = {}
        for device in devices:
            by_partition.setdefault(self._asking.partition_of(device.id), []).append(self._stamped(device))
        parts = await asyncio.gather(*(self._register(*one) for one in by_partition.items()))
        return Imported(
            [id_ for part in parts for id_ in part.existing],
            {id_: error for part in parts for id_, error in part.refused.items()},
        )

    async def device(self, id_: str) -> DeviceView:
        """See `iot_system.ports.gateway.Gateway.device`."""
        return await self._asking.ask_owner(id_, questions.GetDevice(id_), DeviceView)

    async def patch_device(self, id_: str, patch: dict[str, Any]) -> Device:
        """See `iot_system.ports.gateway.Gateway.patch_device`."""
        return await self._asking.ask_owner(id_, questions.PatchDevice(id_, patch), Device)

    async def delete_device(self, id_: str) -> None:
        """See `iot_system.ports.gateway.Gateway.delete_device`."""
        await self._asking.ask_owner(id_, questions.DeleteDevice(id_), type(None))

    async def list_devices(
        self, *, room: str | None, label: str | None, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()
    ) -> Page:
        """See `iot_system.ports.gateway.Gateway.list_devices`."""
        page = await self._asking.ask(None, questions.ListDevices(room, label, limit, cursor, scopes), Page)
        return msgspec.structs.replace(page, items=msgspec.convert(page.items, list[Device]))

    async def issue_token(self, device: str) -> IssuedToken:
        """See `iot_system.ports.gateway.Gateway.issue_token`."""
        token = f"{device}.{secrets.token_urlsafe(32)}"
        credential = Credential(
            id=secrets.token_hex(8), device=device, sha256=_sha256(token), created_us=self._clock.now_us()
        )
        await self._asking.ask_owner(device, questions.AddCredential(credential), type(None))
        self._directory.forget(device)
        return IssuedToken(credential.id, device, token)

    async def revoke_credential(self, device: str, credential: str) -> None:
        """See `iot_system.ports.gateway.Gateway.revoke_credential`."""
        await self._asking.ask_owner(device, questions.DeleteCredential(device, credential), type(None))
        self._directory.forget(device)

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        """See `iot_system.ports.gateway.Gateway.readings`."""
        await self._must_exist(query.device)
        return await self._asking.ask(None, questions.GetReadings(query), Stretch[Reading])

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        """See `iot_system.ports.gateway.Gateway.buckets`."""
        await self._must_exist(query.device)
        return await self._asking.ask(None, questions.GetBuckets(query), Stretch[Bucket])

    async def explain(self, device: str) -> Explanation:
        """See `iot_system.ports.gateway.Gateway.explain`."""
        return await self._asking.ask_owner(device, questions.Explain(device), Explanation)

    async def room(self, id_: str) -> RoomView:
        """See `iot_system.ports.gateway.Gateway.room`."""
        return await self._asking.ask_owner(id_, questions.GetRoom(id_), RoomView)

    async def list_rooms(self, *, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()) -> Page:
        """See `iot_system.ports.gateway.Gateway.list_rooms`."""
        return await self._asking.ask(None, questions.ListRooms(limit, cursor, scopes), Page)

    async def _register(self, partition: int, devices: list[Device]) -> Imported:
        existing: list[str] = []
        refused: dict[str, IotError] = {}
        for start in range(0, len(devices), REGISTER_AT_ONCE):
            chunk = devices[start : start + REGISTER_AT_ONCE]
            try:
                answer = await self._asking.ask(partition, questions.PutDevices(chunk), questions.Registered)
            except IotError as error:
                refused |= dict.fromkeys((device.id for device in chunk), error)
            else:
                existing += answer.existing
                refused |= {id_: error_of(refusal) for id_, refusal in answer.refused.items()}
        return Imported(existing, refused)

    async def _must_exist(self, id_: str) -> None:
        if await self._directory.get(id_) is None:
            raise NotFound(UNKNOWN.format(id=id_))

    def _stamped(self, device: Device) -> Device:
        now_us = self._clock.now_us()
        return msgspec.structs.replace(device, created_us=now_us, updated_us=now_us)


class _Batch:
    """One call of `ActorGateway.ingest`: what waits to become durable, and what was refused, by index."""

    def __init__(self, principal: Principal, messages: Sequence[Telemetry]) -> None:
        self._principal = principal
        self._messages = messages
        self._results: list[Exception | None] = [None] * len(messages)
        self._waiting: list[tuple[list[int], asyncio.Future[IotError | None]]] = []

    def why_not(self, id_: str, access: DeviceAccess | None) -> IotError | None:
        device = access.device if access else None
        try:
            check_speaks(self._principal, id_, device)
        except IotError as problem:
            return problem
        return None if device is not None and device.enabled else Forbidden(DISABLED.format(id=id_))

    def refuse(self, indexes: list[int], problem: Exception) -> None:
        for index in indexes:
            self._results[index] = problem

    def put(self, writer: PartitionWriter, indexes: list[int]) -> None:
        try:
            self._waiting.append((indexes, writer.put([self._messages[index] for index in indexes])))
        except IotError as problem:
            self.refuse(indexes, problem)

    def put_if_known(
        self, id_: str, indexes: list[int], writer: PartitionWriter, look_up: asyncio.Future[DeviceAccess | None]
    ) -> None:
        problem = look_up.exception() or self.why_not(id_, look_up.result())
        if isinstance(problem, Exception):
            self.refuse(indexes, problem)
        else:
            self.put(writer, indexes)

    async def results(self) -> list[Exception | None]:
        for indexes, stored in self._waiting:
            if problem := await stored:
                self.refuse(indexes, problem)
        return self._results


def _count(messages: int) -> None:
    FRAMES.inc()
    MESSAGES.inc(messages)


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
