"""The gateway: authenticates, checks, frames, waits for the durable acknowledgement, then answers."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from iot_system.domain import questions
from iot_system.domain.access import Scope
from iot_system.domain.deliveries import Delivery, decode_deliveries
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.questions import DesiredView, DeviceView, Explanation
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Credential, Device, DeviceAccess, Page
from iot_system.domain.signals import Signal
from iot_system.errors import Conflict, IotError, NotFound
from iot_system.ports.certificates import RevokedCertificates
from iot_system.ports.clock import Clock
from iot_system.ports.events import Log
from iot_system.ports.gateway import Imported, IssuedToken, Principal
from iot_system.ports.jwt import JwtVerifier
from iot_system.ports.requests import Requests
from iot_system.ports.stream import Stream
from iot_system.services.administration import ANNOUNCED, ActorAdministration
from iot_system.services.api_tokens import ApiTokens
from iot_system.services.asking import Asking, error_of
from iot_system.services.authentication import Authenticator, sha256_of
from iot_system.services.commanding import ActorCommands
from iot_system.services.directory import Directory
from iot_system.services.events import Hub
from iot_system.services.intake import Intake
from iot_system.services.revocation import Revocations
from iot_system.services.rooms import ActorRooms, as_precondition
from iot_system.services.throttle import Throttle

REGISTER_AT_ONCE = 5000
"""Devices in one question, so that it fits the broker and its answer comes in time."""
ALIVE_S = 2.0
UNKNOWN = "device {id!r} is not registered"
log = structlog.get_logger()


class ActorGateway:
    """Implements `iot_system.ports.gateway.Gateway` over the streams and request-reply."""

    def __init__(
        self,
        stream: Stream,
        requests: Requests,
        clock: Clock,
        *,
        events: Log,
        readings: Log,
        partitions: int,
        admin_token: str | Callable[[], str] | None,
        jwt: JwtVerifier | None = None,
        revoked: RevokedCertificates = frozenset(),
    ) -> None:
        self.name = f"{socket.gethostname().partition('.')[0]}-{secrets.token_hex(8)}"
        self._requests = requests
        self._clock = clock
        self._asking = Asking(requests, partitions)
        self._directory = Directory(self._asking, clock)
        self._intake = Intake(stream, self._directory, partitions=partitions)
        self.rooms = ActorRooms(self._asking)
        self.events = Hub(
            events,
            readings,
            requests,
            registered=self.registered,
            rooms=self.rooms,
            partition_of=self._asking.partition_of,
        )
        self.commands = ActorCommands(self._asking, self.events, self.rooms, self._must_exist)
        self.administration = ActorAdministration(self._asking, requests, clock, self._must_exist)
        self._tokens = ApiTokens(self._asking, clock)
        self._authenticator = Authenticator(
            self._directory,
            self._tokens,
            Throttle(clock.monotonic_s),
            clock,
            admin_token=admin_token,
            jwt=jwt,
            revoked=revoked,
        )
        self.authenticate = self._authenticator.authenticate
        self.authenticate_certificate = self._authenticator.authenticate_certificate
        self._revocations = Revocations(self._asking, clock, revoked)
        self.watch = self._revocations.watch
        self._on_delivery: list[Callable[[Delivery], None]] = []
        self._on_registration: list[Callable[[str], None]] = []
        self._living: asyncio.Task[None] | None = None
        self.now_us = clock.now_us

    async def start(self) -> None:
        """Listen for changes of devices, for deliveries and for events, and say that this process lives."""
        await self._requests.on_announcement(self._forget)
        await self._revocations.start()
        await self._requests.on_told(self.name, self._deliver)
        await self.events.start()
        self._living = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """Return when all that was accepted is durable or refused."""
        if self._living is not None:
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)
        await self._revocations.stop()
        await self.events.stop()
        await self._intake.drain()

    def on_delivery(self, callback: Callable[[Delivery], None]) -> None:
        """See `iot_system.ports.gateway.Gateway.on_delivery`."""
        self._on_delivery.append(callback)

    def on_registration(self, callback: Callable[[str], None]) -> None:
        """See `iot_system.ports.gateway.Gateway.on_registration`."""
        self._on_registration.append(callback)

    async def registered(self, device: str) -> Device | None:
        """See `iot_system.ports.gateway.Gateway.registered`."""
        access = await self._directory.get(device)
        return access.device if access else None

    async def ingest(self, principal: Principal, messages: Sequence[Telemetry | Signal]) -> list[Exception | None]:
        """See `iot_system.ports.gateway.Gateway.ingest`."""
        return await self._intake.ingest(principal, messages)

    async def create_device(self, device: Device, *, by: str = "") -> Device:
        """See `iot_system.ports.gateway.Gateway.create_device`."""
        device = self._stamped(device)
        imported = await self._import([device], by)
        if refused := imported.refused.get(device.id):
            raise refused
        if imported.existing:
            raise Conflict(f"device {device.id!r} exists already")
        return device

    async def import_devices(self, devices: Sequence[Device], *, by: str = "") -> Imported:
        """See `iot_system.ports.gateway.Gateway.import_devices`."""
        return await self._import([self._stamped(device) for device in devices], by)

    async def _import(self, devices: Sequence[Device], by: str) -> Imported:
        by_partition: dict[int, list[Device]] = {}
        for device in devices:
            by_partition.setdefault(self._asking.partition_of(device.id), []).append(device)
        parts = await asyncio.gather(*(self._register(*one, by) for one in by_partition.items()))
        return Imported(
            [id_ for part in parts for id_ in part.existing],
            {id_: error for part in parts for id_, error in part.refused.items()},
        )

    async def device(self, id_: str) -> DeviceView:
        """See `iot_system.ports.gateway.Gateway.device`."""
        return await self._asking.ask_owner(id_, questions.GetDevice(id_), DeviceView)

    async def patch_device(self, id_: str, patch: dict[str, Any], *, by: str = "") -> Device:
        """See `iot_system.ports.gateway.Gateway.patch_device`."""
        return await self._asking.ask_owner(id_, questions.PatchDevice(id_, patch, by), Device)

    async def patch_desired(self, id_: str, patch: dict[str, Any], *, if_version: int | None, by: str) -> DesiredView:
        """See `iot_system.ports.gateway.Gateway.patch_desired`."""
        question = questions.PatchDesired(id_, patch, if_version, by)
        with as_precondition(if_version):
            return await self._asking.ask_owner(id_, question, DesiredView)

    async def delete_device(self, id_: str, *, by: str = "") -> None:
        """See `iot_system.ports.gateway.Gateway.delete_device`."""
        await self._asking.ask_owner(id_, questions.DeleteDevice(id_, by), type(None))

    async def list_devices(
        self, *, room: str | None, label: str | None, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()
    ) -> Page:
        """See `iot_system.ports.gateway.Gateway.list_devices`."""
        question = questions.ListDevices(room, label, limit, cursor, scopes)
        return await self._asking.ask_page(None, question, Device)

    async def issue_token(self, device: str, *, by: str = "") -> IssuedToken:
        """See `iot_system.ports.gateway.Gateway.issue_token`."""
        token = f"{device}.{secrets.token_urlsafe(32)}"
        credential = Credential(
            id=secrets.token_hex(8), device=device, sha256=sha256_of(token), created_us=self._clock.now_us()
        )
        await self._asking.ask_owner(device, questions.AddCredential(credential, by), type(None))
        self._directory.forget(device)
        return IssuedToken(credential.id, device, token)

    async def credentials(self, device: str) -> Sequence[Credential]:
        """See `iot_system.ports.gateway.Gateway.credentials`."""
        found = await self._asking.ask_owner(device, questions.GetAccess([device]), list[DeviceAccess])
        if not found:
            raise NotFound(UNKNOWN.format(id=device))
        return found[0].credentials

    async def revoke_credential(self, device: str, credential: str, *, by: str = "") -> None:
        """See `iot_system.ports.gateway.Gateway.revoke_credential`."""
        await self._asking.ask_owner(device, questions.DeleteCredential(device, credential, by), type(None))
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

    async def _register(self, partition: int, devices: list[Device], by: str) -> Imported:
        existing: list[str] = []
        refused: dict[str, IotError] = {}
        for start in range(0, len(devices), REGISTER_AT_ONCE):
            chunk = devices[start : start + REGISTER_AT_ONCE]
            try:
                answer = await self._asking.ask(partition, questions.PutDevices(chunk, by), questions.Registered)
            except IotError as error:
                refused |= dict.fromkeys((device.id for device in chunk), error)
            else:
                existing += answer.existing
                refused |= {id_: error_of(refusal) for id_, refusal in answer.refused.items()}
        return Imported(existing, refused)

    async def _must_exist(self, id_: str) -> None:
        if await self._directory.get(id_) is None:
            raise NotFound(UNKNOWN.format(id=id_))

    def _forget(self, announced: str) -> None:
        """A device or an API token changed."""
        if announced.startswith(ANNOUNCED):
            self._tokens.forget(announced.removeprefix(ANNOUNCED))
        else:
            self._directory.forget(announced)
            for callback in self._on_registration:
                callback(announced)
        self._revocations.changed(announced)

    async def _live(self) -> None:
        while True:
            try:
                await self._requests.alive(self.name)
            except IotError as error:
                log.warning("could not say that this process lives", why=str(error))
            await asyncio.sleep(ALIVE_S)

    def _deliver(self, data: bytes) -> None:
        try:
            deliveries = decode_deliveries(data)
        except msgspec.MsgspecError as error:
            log.warning("a delivery cannot be read, its sender's version may differ", error=str(error))
            return
        for delivery in deliveries:
            for callback in self._on_delivery:
                callback(delivery)

    def _stamped(self, device: Device) -> Device:
        now_us = self._clock.now_us()
        return msgspec.structs.replace(device, created_us=now_us, updated_us=now_us)
