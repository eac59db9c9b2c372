"""Commands to devices: durable, given once, and awaited without polling."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from iot_system.client.records import Command
from iot_system.client.rest import Page, Parameters, Rest, segment
from iot_system.domain.commands import CommandStatus

WAIT_LIMIT_S = 60.0
"""The longest that the system waits within one request."""
PAGE_SIZE = 1_000


class Commands:
    """``IotClient.commands``."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def send(
        self,
        device: str,
        name: str,
        payload: Any = None,
        *,
        timeout_s: float | None = None,
        id_: str | None = None,
        wait_s: float = 0.0,
    ) -> Command:
        """Give a device a command, durable when this returns; with ``wait_s`` wait so long for its end.

        ``timeout_s`` is its life. The same ``id_`` again is the same command; without one a new id is made, so that a
        repetition by this client gives it once. Raises `Conflict` where the id has another name or payload.
        """
        command = await self._rest.send(
            "POST", _path(device), body_of(name, payload, timeout_s=timeout_s, id_=id_), Command
        )
        return await self.wait(device, command.id, wait_s=wait_s) if command.is_open and wait_s else command

    async def get(self, device: str, command: str) -> Command:
        """Raises `NotFound`."""
        return await self._rest.get(_path(device, command), Command)

    async def wait(self, device: str, command: str, *, wait_s: float) -> Command:
        """The command at its end, or as it is after ``wait_s``. Raises `NotFound`."""
        deadline_s = time.monotonic() + wait_s
        while True:
            left_s = min(max(deadline_s - time.monotonic(), 0.0), WAIT_LIMIT_S)
            found = await self._rest.get(_path(device, command), Command, {"wait_s": round(left_s, 3)}, wait_s=left_s)
            if not found.is_open or time.monotonic() >= deadline_s:
                return found

    def list(self, device: str, *, status: CommandStatus | Literal["pending"] | None = None) -> AsyncIterator[Command]:
        """A device's commands, the newest first; ``pending`` are those not at their end, the oldest first."""
        return self._rest.items(_path(device), Command, {"status": status, "limit": PAGE_SIZE})

    async def cancel(self, device: str, command: str) -> Command:
        """The command, cancelled unless it was at its end already. Raises `NotFound`."""
        return await self._rest.send("DELETE", _path(device, command), None, Command)

    async def take(self, device: str, *, wait_s: float = 0.0) -> Sequence[Command]:
        """All open commands, the oldest first; with the device's own token that counts as their delivery.

        Where there are none, waits up to ``wait_s`` for one. For devices without MQTT; `answer` each.
        """
        left_s = min(wait_s, WAIT_LIMIT_S)
        parameters: Parameters = {"status": "pending", "limit": PAGE_SIZE, "wait_s": left_s}
        return (await self._rest.get(_path(device), Page[Command], parameters, wait_s=left_s)).items

    async def answer(
        self, device: str, command: str, payload: Any = None, *, status: Literal["succeeded", "failed"] = "succeeded"
    ) -> None:
        """Say, as the device, what became of a command."""
        body = {"status": status, "payload": payload}
        await self._rest.send("POST", f"{_path(device, command)}/result", body, Any)


def body_of(name: str, payload: Any, *, timeout_s: float | None, id_: str | None) -> dict[str, Any]:
    """A new command as the interface takes it."""
    body = {"id": id_ or secrets.token_hex(12), "name": name, "payload": payload}
    return body if timeout_s is None else body | {"timeout_s": timeout_s}


def _path(device: str, command: str | None = None) -> str:
    path = f"/v1/devices/{segment(device)}/commands"
    return path if command is None else f"{path}/{segment(command)}"
