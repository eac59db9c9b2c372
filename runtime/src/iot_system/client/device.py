"""The device's side over MQTT."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from typing import Any, Literal, Self

import msgspec

from iot_system.client.inbox import DESIRED, ME, DesiredState, DeviceCommand, Inbox
from iot_system.client.link import Link
from iot_system.client.telemetry import RECOGNISED, Message, recognisable
from iot_system.domain.commands import check_payload
from iot_system.domain.readings import Value, parse_telemetry

PATIENCE_S = 60.0


class DeviceConnection:
    """For an ``async with``, which returns once the device is let in. Raises `Unauthenticated` where it is not.

    Calls raise `Unavailable` where the system does not answer for ``patience_s`` seconds. After a broken connection
    what was not acknowledged is sent again, and is recognised.
    """

    def __init__(
        self,
        host: str,
        port: int,
        device: str,
        token: str,
        *,
        tls: ssl.SSLContext | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.device = device
        self._by_id = asyncio.Semaphore(RECOGNISED)
        self._inbox = Inbox()
        self._link = Link(
            host,
            port,
            client_id=f"{device}-{secrets.token_hex(4)}",
            user=device,
            password=token,
            tls=tls,
            patience_s=patience_s,
            receive=self._inbox.take,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._link.start()
        except BaseException:
            await self._link.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.stop()

    async def send(self, values: Mapping[str, Value], *, ts: float | None = None) -> None:
        """Send values by metric; durable when this returns. ``ts`` is in ms since 1970, by default on arrival.

        Raises `InvalidInput` for values or a time beyond the limits. Calls need not wait for each other.
        """
        message = recognisable(Message(device=self.device, values=values, ts=ts))
        body = {"values": dict(values)} | ({"id": message.id} if ts is None else {"ts": ts})
        parse_telemetry(self.device, body, now_us=time.time_ns() // 1000)
        async with nullcontext() if message.id is None else self._by_id:
            await self._publish("telemetry", body)

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Merge ``patch`` (RFC 7396: None removes a key) into the reported state; durable when this returns."""
        await self._publish("twin/reported", dict(patch))

    async def commands(self) -> AsyncIterator[DeviceCommand]:
        """Commands to the device in their order, each once for the life of this object; `answer` each.

        Those that were not answered come again after a restart. One reader at a time.
        """
        await self._link.subscribe(f"{ME}/commands/+/+")
        while True:
            yield await self._link.next(self._inbox.commands)

    async def answer(
        self, command: str, payload: Any = None, *, status: Literal["succeeded", "failed"] = "succeeded"
    ) -> None:
        """Say what became of the command with this id; durable when this returns. Raises `TooLarge`."""
        check_payload(payload, field="payload")
        await self._publish(f"commands/{command}/result", {"status": status, "payload": payload})

    async def desired(self) -> AsyncIterator[DesiredState]:
        """The whole desired state: as it is, then after each change, the newest where several came. One reader."""
        await self._link.subscribe(DESIRED)
        while True:
            yield await self._link.next(self._inbox.desired)

    async def _publish(self, topic: str, body: object) -> None:
        await self._link.publish(f"{ME}/{topic}", msgspec.json.encode(body))
