"""What a device is sent, made of topics and payloads: commands, each once, and its whole desired state."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

import msgspec

from iot_system.client.problems import SystemFault
from iot_system.domain.commands import OPEN_LIMIT
from iot_system.domain.merge import merge_patch

ME = "v1/devices/me"
DESIRED = f"{ME}/twin/desired"
REMEMBERED = 10 * OPEN_LIMIT
"""Commands that are recognised when they come again: all that can be open, and many more."""


class DeviceCommand(msgspec.Struct, frozen=True):
    """A command as the device gets it."""

    id: str
    name: str
    payload: Any


class DesiredState(msgspec.Struct, frozen=True):
    """The whole desired state of ``version``."""

    version: int
    state: dict[str, Any]


class _Wanted(msgspec.Struct, frozen=True):
    version: int
    desired: dict[str, Any] | None = None
    patch: dict[str, Any] | None = None


class Inbox:
    """Queues of what came; the system sends no more than `OPEN_LIMIT` commands that are not answered."""

    def __init__(self) -> None:
        self.commands: asyncio.Queue[DeviceCommand] = asyncio.Queue()
        self.desired: asyncio.Queue[DesiredState] = asyncio.Queue(1)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._state = DesiredState(-1, {})

    def take(self, topic: str, payload: bytes) -> list[str]:
        """Sort one message in → what to subscribe to again, because a change is missing. Raises `SystemFault`."""
        try:
            match topic.split("/")[3:]:
                case ["commands", command, name]:
                    self._take_command(command, name, payload)
                case ["twin", "desired"]:
                    return self._take_desired(msgspec.json.decode(payload, type=_Wanted))
        except msgspec.DecodeError as error:
            raise SystemFault(f"the message on {topic} is not as this client knows it: {error}") from error
        return []

    def _take_command(self, command: str, name: str, payload: bytes) -> None:
        if command in self._known:
            return
        self._known[command] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self.commands.put_nowait(DeviceCommand(command, name, msgspec.json.decode(payload or b"null")))

    def _take_desired(self, wanted: _Wanted) -> list[str]:
        if wanted.version <= self._state.version:
            return []
        if wanted.desired is not None:
            state = wanted.desired
        elif wanted.version == self._state.version + 1 and wanted.patch is not None:
            state = merge_patch(self._state.state, wanted.patch)
        else:
            return [DESIRED]
        self._state = DesiredState(wanted.version, state)
        if self.desired.full():
            self.desired.get_nowait()  # the newer one is whole
        self.desired.put_nowait(self._state)
        return []
