"""The device's own side, by REST or MQTT: it sends, takes commands and answers, again and again until it is heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple, Protocol

from iot_system.client import DeviceConnection

from tests.contract.faults.pods import PATIENCE_S, Pods

TAKE_S = 2.0


class Taken(NamedTuple):
    """A command as the device gets it; the same one may come again."""

    id: str
    payload: Any


class Side(Protocol):
    """Calls return once what they say is durable."""

    async def send(self, ts: int, values: dict[str, int]) -> None: ...

    async def answer(self, command: str, status: Literal["succeeded", "failed"], payload: Any) -> None: ...

    def commands(self) -> AsyncIterator[Taken]: ...


class ByRest:
    """Implements `Side`."""

    def __init__(self, pods: Pods, device: str, token: str) -> None:
        self._pods = pods
        self._path = f"/v1/devices/{device}"
        self._token = token

    async def send(self, ts: int, values: dict[str, int]) -> None:
        body = {"ts": ts, "values": values}
        await self._pods.ok("POST", f"{self._path}/telemetry", body, token=self._token)

    async def answer(self, command: str, status: Literal["succeeded", "failed"], payload: Any) -> None:
        body = {"status": status, "payload": payload}
        await self._pods.ok("POST", f"{self._path}/commands/{command}/result", body, token=self._token)

    async def commands(self) -> AsyncIterator[Taken]:
        pending = f"{self._path}/commands?status=pending"
        while True:
            taken = await self._pods.ok("GET", pending, token=self._token, wait_s=TAKE_S)
            for one in taken["items"]:
                yield Taken(one["id"], one["payload"])


class ByMqtt:
    """Implements `Side`; can also report, and hears of its desired state."""

    def __init__(self, connection: DeviceConnection) -> None:
        self._connection = connection

    async def send(self, ts: int, values: dict[str, int]) -> None:
        await self._connection.send(values, ts=ts)

    async def answer(self, command: str, status: Literal["succeeded", "failed"], payload: Any) -> None:
        await self._connection.answer(command, payload, status=status)

    async def commands(self) -> AsyncIterator[Taken]:
        async for one in self._connection.commands():
            yield Taken(one.id, one.payload)

    async def report(self, patch: dict[str, Any]) -> None:
        await self._connection.report(patch)

    async def desired(self) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        async for wanted in self._connection.desired():
            yield wanted.version, wanted.state


@asynccontextmanager
async def by_mqtt(address: tuple[str, int], device: str, token: str) -> AsyncIterator[ByMqtt]:
    """Connected, and connected again after each break."""
    async with DeviceConnection(*address, device, token, patience_s=PATIENCE_S) as connection:
        yield ByMqtt(connection)
