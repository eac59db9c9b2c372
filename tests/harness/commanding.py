"""Commands for as long as a test breaks things: one after the other to each of two devices, which do them."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from typing import Any

from iot_system.client import DeviceConnection

from tests.harness.checker import ENDS, Given
from tests.harness.clients import Clients
from tests.harness.rest import Rest

EVERY_S = 0.5
ANSWER_S = 3.0
"""Beyond the time for which the system itself waits."""
WAIT_S = 2.0
LIFE_S = 3600.0
"""Of a command: none of them may expire."""
ENDS_WITHIN_S = 240.0


class Commanding(Clients):
    """One device takes its commands by MQTT, the other one by REST; `stop` returns when all commands are at their end.

    Or when one has not been for `ENDS_WITHIN_S`: then nothing more is given, and the checker says so.
    """

    def __init__(
        self, url: str, token: str, mqtt: tuple[str, int], *, name: str, trust: ssl.SSLContext | None = None
    ) -> None:
        self._by_mqtt, self._by_rest = self.devices = [f"{name}-by-mqtt", f"{name}-by-rest"]
        self._mqtt = mqtt
        self._trust = trust
        self._tokens: dict[str, str] = {}
        self._is_over = {device: threading.Event() for device in self.devices}
        self._given: dict[str, str] = {}
        """Command → device."""
        self._done: dict[str, list[Any]] = defaultdict(list)
        super().__init__(
            lambda: Rest(url, token, answer_s=ANSWER_S + WAIT_S, trust=trust),
            dict.fromkeys(self.devices, self._give)
            | {f"{self._by_mqtt} itself": self._do_by_mqtt, f"{self._by_rest} itself": self._do_by_rest},
        )

    def register(self, rest: Rest) -> None:
        """Register the devices; comes before `start`."""
        self._tokens = {device: rest.register(device) for device in self.devices}

    @property
    def given(self) -> list[Given]:
        """All that are durable, and what their devices have done."""
        return [Given(id_, device, self._done[id_]) for id_, device in self._given.items()]

    def found(self, rest: Rest) -> Iterator[dict[str, Any]]:
        """All commands that the system has of these devices."""
        for device in self.devices:
            cursor: dict[str, str] = {}
            while True:
                page = rest.get(f"/v1/devices/{device}/commands", limit=1000, **cursor)
                yield from page["items"]
                if page["cursor"] is None:
                    break
                cursor = {"cursor": page["cursor"]}

    def _give(self, rest: Rest, device: str) -> None:
        try:
            for number in itertools.count(1):
                path = self._give_one(rest, device, number)
                deadline_s = time.monotonic() + ENDS_WITHIN_S
                while rest.get(path, wait_s=WAIT_S)["status"] not in ENDS:
                    if time.monotonic() > deadline_s:
                        return
                if self.is_stopped_within(EVERY_S):
                    return
        finally:
            self._is_over[device].set()

    def _give_one(self, rest: Rest, device: str, number: int) -> str:
        """The command's path, once it is durable."""
        id_, path = f"{device}-{number}", f"/v1/devices/{device}/commands"
        body = {"id": id_, "name": "count", "payload": {"number": number}, "timeout_s": LIFE_S}
        response = rest.request("POST", path, json=body)
        assert response.is_success, f"{response.status_code} {response.text}"
        self._given[id_] = device
        return f"{path}/{id_}"

    def _do_by_rest(self, rest: Rest, _: str) -> None:
        own = Rest(rest.url, self._tokens[self._by_rest], answer_s=ANSWER_S + WAIT_S, trust=self._trust)
        path, done = "/v1/devices/me/commands", set[str]()
        try:
            while not self._is_over[self._by_rest].is_set():
                for command in own.get(path, status="pending", wait_s=WAIT_S)["items"]:
                    if (id_ := command["id"]) in done:  # its answer is on its way still
                        continue
                    result = result_of(command["payload"])
                    answer = {"status": "succeeded", "payload": result}
                    self._done[id_].append(result)
                    response = own.request("POST", f"{path}/{id_}/result", json=answer)
                    assert response.is_success, f"{response.status_code} {response.text}"
                    done.add(id_)
        finally:
            own.close()

    def _do_by_mqtt(self, _: Rest, __: str) -> None:
        asyncio.run(self._until_over(self._by_mqtt, self._answer_by_mqtt()))

    async def _answer_by_mqtt(self) -> None:
        device = DeviceConnection(
            *self._mqtt, self._by_mqtt, self._tokens[self._by_mqtt], tls=self._trust, patience_s=ENDS_WITHIN_S
        )
        async with device:
            async for command in device.commands():
                result = result_of(command.payload)
                self._done[command.id].append(result)
                await device.answer(command.id, result)

    async def _until_over(self, device: str, work: Coroutine[Any, Any, None]) -> None:
        working = asyncio.create_task(work)
        over = asyncio.create_task(asyncio.to_thread(self._is_over[device].wait))
        await asyncio.wait([working, over], return_when=asyncio.FIRST_COMPLETED)
        if working.done():  # it has failed
            await working
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def result_of(payload: Any) -> dict[str, int]:
    """What a device answers a command with."""
    return {"done": payload["number"]}
