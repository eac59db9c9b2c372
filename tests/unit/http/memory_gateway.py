"""A gateway that keeps everything in this process: the port's contract without broker, shards and database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import msgspec
from iot_system.domain.access import Scope
from iot_system.domain.certificates import ClientCertificate
from iot_system.domain.deliveries import Delivery
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.ids import partition_of
from iot_system.domain.permissions import check_speaks
from iot_system.domain.questions import DesiredView, DeviceView, Explanation
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Credential, Device, Page
from iot_system.domain.signals import CommandAnswer, Signal
from iot_system.domain.twin import Aggregate, DeviceState, Latest, RoomState
from iot_system.errors import Conflict, IotError, NotFound, Unauthenticated
from iot_system.ports.clock import SystemClock
from iot_system.ports.gateway import Imported, IssuedToken, Principal

from tests.unit.http.memory_parts import (
    MemoryAdministration,
    MemoryCommands,
    MemoryEvents,
    MemoryRooms,
    merge_desired,
    page_of,
)

ADMIN_TOKEN = "the-administrator-of-these-tests"


class MemoryGateway:
    """Implements `iot_system.ports.gateway.Gateway`; ``failure``, once set, is raised by all but `authenticate`.

    ``refusals`` tell why telemetry of a device is refused.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.refusals: dict[str, Exception] = {}
        self.devices: dict[str, Device] = {}
        self.states: dict[str, DeviceState] = {}
        self.history: dict[tuple[str, str, int], Reading] = {}
        self.tokens: dict[str, tuple[str, str]] = {}
        self.principals: dict[str, Principal] = {}
        self.messages = 0
        self.signals: list[Signal] = []
        self.name = "memory"
        self.rooms = MemoryRooms(self._fail, self.devices)
        self.commands = MemoryCommands(self._fail, self.devices, self.rooms)
        self.administration = MemoryAdministration(self._fail, self.now_us)
        self.events = MemoryEvents(self._fail)
        self.revoked: list[Callable[[str], None]] = []
        self._deliver: list[Callable[[Delivery], None]] = []
        self._announce: list[Callable[[str], None]] = []
        self._clock = SystemClock()

    def on_delivery(self, callback: Callable[[Delivery], None]) -> None:
        self._deliver.append(callback)

    def on_registration(self, callback: Callable[[str], None]) -> None:
        self._announce.append(callback)

    def deliver(self, delivery: Delivery) -> None:
        """As the owner of a device would."""
        for callback in self._deliver:
            callback(delivery)

    def watch(self, principal: Principal, on_revoked: Callable[[str], None]) -> Callable[[], None]:
        self.revoked.append(on_revoked)
        return lambda: self.revoked.remove(on_revoked)

    def now_us(self) -> int:
        return self._clock.now_us()

    async def authenticate(
        self,
        token: str,
        *,
        device: str | None = None,
        client: str = "",
        certificate: ClientCertificate | None = None,
    ) -> Principal:
        if token == ADMIN_TOKEN and device is None:
            return Principal("admin", "admin")
        if device is None and token in self.principals:
            return self.principals[token]
        owner = self.tokens.get(token, (None, ""))[0]
        if owner is None or device not in (None, owner):
            raise Unauthenticated("the token is not valid")
        return Principal("device", owner)

    async def authenticate_certificate(self, certificate: ClientCertificate) -> Principal:
        if certificate.device not in self.devices:
            raise Unauthenticated("the device is not registered")
        return Principal("device", certificate.device or "")

    async def registered(self, device: str) -> Device | None:
        self._fail()
        return self.devices.get(device)

    async def ingest(self, principal: Principal, messages: Sequence[Telemetry | Signal]) -> list[Exception | None]:
        self._fail()
        return [self._store(principal, message) for message in messages]

    def _store(self, principal: Principal, message: Telemetry | Signal) -> Exception | None:
        try:
            check_speaks(principal, message.device, self.devices.get(message.device))
        except IotError as error:
            return error
        if refusal := self.refusals.get(message.device):
            return refusal
        if isinstance(message, Telemetry):
            self._store_telemetry(message)
        else:
            self._store_signal(message)
        return None

    def _store_signal(self, signal: Signal) -> None:
        self.signals.append(signal)
        if isinstance(signal, CommandAnswer) and (
            command := self.commands.commands.get((signal.device, signal.command))
        ):
            moved = command.moved(signal.status, now_us=signal.time_us, result=signal.payload)
            self.commands.commands[signal.device, signal.command] = moved

    def _store_telemetry(self, message: Telemetry) -> None:
        self.messages += 1
        state = self.states[message.device]
        room = self.devices[message.device].room
        state.last_seen_us = max(state.last_seen_us, message.time_us)
        for metric, value in message.values.items():
            reading = Reading(message.device, metric, message.time_us, value)
            self.history[message.device, metric, message.time_us] = reading
            latest = Latest(message.time_us, value)
            if (state.time_of(metric) or 0) <= message.time_us:
                times = state.time_of_each() | {metric: message.time_us}
                state.keep(state.values | {metric: value}, times)
            if room is not None:
                self._store_in_room(room, reading, latest)

    def _store_in_room(self, room: str, reading: Reading, latest: Latest) -> None:
        state = self.rooms.states.setdefault(room, RoomState(metrics={}, members={}))
        state.members[reading.device] = reading.time_us
        one = state.metrics.setdefault(reading.metric, Aggregate(last=latest, device=reading.device))
        one.count += 1
        if one.last.time_us <= latest.time_us:
            one.last, one.device = latest, reading.device
        value = reading.value
        if _is_number(value):
            one.numbers += 1
            one.sum += value
            one.min = value if one.min is None else min(one.min, value)
            one.max = value if one.max is None else max(one.max, value)

    async def create_device(self, device: Device, *, by: str = "") -> Device:
        self._fail()
        if device.id in self.devices:
            raise Conflict(f"device {device.id!r} exists already")
        now_us = self.now_us()
        device = msgspec.structs.replace(device, created_us=now_us, updated_us=now_us)
        self.devices[device.id], self.states[device.id] = device, DeviceState()
        return device

    async def import_devices(self, devices: Sequence[Device], *, by: str = "") -> Imported:
        self._fail()
        existing = []
        for device in devices:
            try:
                await self.create_device(device)
            except Conflict:
                existing.append(device.id)
        return Imported(existing, {})

    async def device(self, id_: str) -> DeviceView:
        return DeviceView(self._device(id_), self.states[id_])

    async def patch_device(self, id_: str, patch: dict[str, Any], *, by: str = "") -> Device:
        device = self._device(id_)
        changes = dict(patch)
        if "labels" in changes:
            merged = device.labels | changes["labels"]
            changes["labels"] = {name: value for name, value in merged.items() if value is not None}
        self.devices[id_] = msgspec.structs.replace(device, updated_us=self.now_us(), **changes)
        for callback in self._announce:
            callback(id_)
        return self.devices[id_]

    async def patch_desired(self, id_: str, patch: dict[str, Any], *, if_version: int | None, by: str) -> DesiredView:
        self._device(id_)
        state = self.states[id_]
        view = merge_desired(state.desired, state.desired_version, patch, if_version)
        state.desired, state.desired_version = view.desired, view.version
        return view

    async def delete_device(self, id_: str, *, by: str = "") -> None:
        self._device(id_)
        del self.devices[id_], self.states[id_]
        self.history = {key: reading for key, reading in self.history.items() if key[0] != id_}
        self.tokens = {token: owner for token, owner in self.tokens.items() if owner[0] != id_}

    async def list_devices(
        self, *, room: str | None, label: str | None, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()
    ) -> Page:
        self._fail()
        seer = Principal("viewer", "v", scopes)
        chosen = [one for one in self.devices.values() if seer.sees(room=one.room, labels=one.labels)]
        if room is not None:
            chosen = [device for device in chosen if device.room == room]
        if label is not None:
            name, _, value = label.partition("=")
            chosen = [device for device in chosen if device.labels.get(name) == value]
        return page_of(chosen, limit, cursor, lambda one: one.id)

    async def issue_token(self, device: str, *, by: str = "") -> IssuedToken:
        self._device(device)
        issued = IssuedToken(secrets.token_hex(8), device, secrets.token_urlsafe(32))
        self.tokens[issued.token] = (device, issued.credential)
        return issued

    async def credentials(self, device: str) -> Sequence[Credential]:
        self._device(device)
        owned = [one for id_, one in self.tokens.values() if id_ == device]
        return [Credential(id=one, device=device, sha256=b"", created_us=1_700_000_000_000_000) for one in owned]

    async def revoke_credential(self, device: str, credential: str, *, by: str = "") -> None:
        self._device(device)
        for token, owner in self.tokens.items():
            if owner == (device, credential):
                del self.tokens[token]
                return
        raise NotFound(f"device {device!r} has no credential {credential!r}")

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        self._device(query.device)
        return _ordered([one for one in self.history.values() if _asked_for(one, query)], query)

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        self._device(query.device)
        assert query.interval_us is not None
        grouped: dict[tuple[int, str], list[Reading]] = {}
        for one in sorted(self.history.values(), key=lambda reading: reading.time_us):
            if _asked_for(one, query):
                start_us = one.time_us // query.interval_us * query.interval_us
                grouped.setdefault((start_us, one.metric), []).append(one)
        return _ordered([_bucket(*key, found, query) for key, found in grouped.items()], query)

    async def explain(self, device: str) -> Explanation:
        self._device(device)
        partition = partition_of(device, 64)
        return Explanation(partition, "memory", "localhost", 1, self.messages, 0, None)

    def _device(self, id_: str) -> Device:
        self._fail()
        if id_ not in self.devices:
            raise NotFound(f"device {id_!r} is not registered")
        return self.devices[id_]

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


def _is_seen(scopes: tuple[Scope, ...], room: str | None, labels: dict[str, str]) -> bool:
    return Principal("viewer", "anyone", scopes).sees(room=room, labels=labels)


def _asked_for(one: Reading, query: HistoryQuery) -> bool:
    return (
        one.device == query.device
        and query.from_us <= one.time_us < query.to_us
        and (not query.metrics or one.metric in query.metrics)
    )


def _ordered(items: list[Any], query: HistoryQuery) -> Stretch[Any]:
    items.sort(key=lambda one: (one.time_us, one.metric), reverse=query.descending)
    if query.after is not None:
        sign = -1 if query.descending else 1
        after = query.after
        items = [
            one for one in items if ((one.time_us, one.metric) > after) - ((one.time_us, one.metric) < after) == sign
        ]
    return Stretch(items[: query.limit], more=len(items) > query.limit)


def _bucket(start_us: int, metric: str, readings: list[Reading], query: HistoryQuery) -> Bucket:
    numbers = [float(one.value) for one in readings if _is_number(one.value)]
    found: dict[str, Any] = {"count": len(readings), "last": readings[-1].value}
    if numbers:
        found |= {
            "avg": sum(numbers) / len(numbers),
            "min": min(numbers),
            "max": max(numbers),
            "sum": sum(numbers),
        }
    return Bucket(
        metric=metric,
        time_us=start_us,
        **{name: found.get(name) for name in query.aggregates},
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
