"""The actor system's side of questions, as far as gateways need it: who a device is, and what an API token."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from iot_system.domain import questions as q
from iot_system.domain.ids import partition_of
from iot_system.domain.registry import ApiToken, Credential, Device, DeviceAccess
from iot_system.errors import IotError
from iot_system.services.asking import answer, refuse

from tests.unit.services.memory_requests import MemoryRequests, Switchboard

PARTITIONS = 4
_decode: msgspec.msgpack.Decoder[q.Question] = msgspec.msgpack.Decoder(q.Question)


class Registry:
    """Answers `GetAccess` for all partitions, and `GetTokens`; ``asked`` are the ids, call by call.

    ``before`` and ``after`` may wait or raise.
    """

    def __init__(self, board: Switchboard) -> None:
        self.devices: dict[str, DeviceAccess] = {}
        self.tokens: dict[str, ApiToken] = {}
        self.asked: list[list[str]] = []
        self.before: Callable[[list[str]], Awaitable[None]] = _at_once
        self.after: Callable[[list[str]], Awaitable[None]] = _at_once
        self._requests = MemoryRequests(board)

    async def start(self) -> None:
        for number in range(PARTITIONS):
            await self._requests.serve(number, self._on_question)
        await self._requests.serve(None, self._on_question)

    def register(self, *ids: str, enabled: bool = True, gateway: str | None = None, room: str | None = None) -> None:
        """Each with a token, see `token_of`."""
        for id_ in ids:
            token = Credential(id="c", device=id_, sha256=hashlib.sha256(token_of(id_).encode()).digest(), created_us=0)
            self.devices[id_] = DeviceAccess(
                device=Device(id=id_, enabled=enabled, gateway=gateway, room=room), credentials=(token,)
            )

    async def change(self, id_: str, *, enabled: bool) -> None:
        """Change a registration and announce it, as its owner would."""
        self.register(id_, enabled=enabled)
        await self._requests.announce(id_)

    async def announce(self, changed: str) -> None:
        """As the owner of what changed would."""
        await self._requests.announce(changed)

    async def _on_question(self, data: bytes) -> bytes | None:
        question = _decode.decode(data)
        assert isinstance(question, q.GetAccess | q.GetTokens)
        known: Mapping[str, object] = self.devices if isinstance(question, q.GetAccess) else self.tokens
        self.asked.append(question.ids)
        try:
            await self.before(question.ids)
            found = [known[id_] for id_ in question.ids if id_ in known]
            await self.after(question.ids)
        except IotError as error:
            return refuse(error)
        return answer(found)


class Gate:
    """Whoever comes waits until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0

    async def __call__(self, ids: list[str]) -> None:
        self.waiting += 1
        await self.opened.wait()


def token_of(id_: str) -> str:
    return f"{id_}.secret-of-{id_}"


def ids_in_one_partition(count: int) -> list[str]:
    """Ids that all belong to partition 0."""
    return [id_ for number in range(1000) if partition_of(id_ := f"d{number}", PARTITIONS) == 0][:count]


async def _at_once(ids: list[str]) -> None:
    return
