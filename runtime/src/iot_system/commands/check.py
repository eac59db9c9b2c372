"""``iot-system check``: a reading by every protocol, a command and its event through an installation, and back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from iot_system.client import DeviceConnection, IotClient, NewDevice
from iot_system.commands.arguments import Address, address, url
from iot_system.commands.output import complain, step
from iot_system.commands.parser import new_parser
from iot_system.errors import IotError, NotFound, Unavailable

DEADLINE_S = 60.0
POLL_S = 0.2
PATIENCE_S = 120.0
"""How long one step may be tried again: an installation may only be starting."""


def main(argv: list[str]) -> int:
    """Run the command; 1 with one sentence where a step fails."""
    parser = new_parser("check", __doc__)
    parser.add_argument("--url", type=url, required=True, help="REST interface, e.g. http://api-service:8000")
    parser.add_argument("--mqtt", type=address, metavar="[mqtts://]HOST:PORT", help="check MQTT too")
    arguments = parser.parse_args(argv)
    token = os.environ.get("IOT_ADMIN_TOKEN")
    if not token:
        parser.error("IOT_ADMIN_TOKEN is not set; it must be the administrator's token")
    try:
        asyncio.run(check(arguments.url, token, arguments.mqtt))
    except IotError as error:
        complain("check", error)
        return 1
    return 0


async def check(url: str, token: str, mqtt: Address | None) -> None:
    """Raises an `IotError` at the first step that fails. The device that it makes is removed in any case."""
    device = f"helm-test-{secrets.token_hex(4)}"
    async with IotClient(url, token, patience_s=PATIENCE_S) as iot:
        with step(f"registered {device}"):
            await iot.devices.register([NewDevice(id=device)])
        try:
            token = (await iot.devices.issue_token(device)).token
            await _send_and_read_back(iot, device, token, mqtt)
            with step("gave a command; the device answered it, and an event told so"):
                await _command(iot, device, token, mqtt)
        finally:
            with step(f"removed {device}"), contextlib.suppress(NotFound):
                await iot.devices.delete(device)


async def _send_and_read_back(iot: IotClient, device: str, token: str, mqtt: Address | None) -> None:
    sent = {"by_rest": random.random()}  # noqa: S311 - only to be recognised
    with step("sent a reading by REST, acknowledged"):
        await iot.telemetry.send(device, sent)
    if mqtt is not None:
        by_mqtt = {"by_mqtt": random.random()}  # noqa: S311
        with step("sent a reading by MQTT, acknowledged"):
            async with _connection(mqtt, device, token) as connection:
                await connection.send(by_mqtt)
        sent |= by_mqtt
    with step("read back from the history"):
        await _until(lambda: _history(iot, device), sent, "history")
    with step("read back from the twin"):
        await _until(lambda: _twin(iot, device), sent, "twin")


async def _command(iot: IotClient, device: str, token: str, mqtt: Address | None) -> None:
    try:
        async with (
            asyncio.timeout(DEADLINE_S),
            iot.events.listen(devices=[device], kinds=["command"]) as events,
        ):
            given = await iot.commands.send(device, "check")
            await _answer(iot.url, device, token, mqtt)
            async for event in events:
                if event.data["id"] == given.id and event.data["status"] == "succeeded":
                    return
    except TimeoutError:
        raise Unavailable(f"no event told the command's success, {DEADLINE_S:g} s after it was given") from None


async def _answer(url: str, device: str, token: str, mqtt: Address | None) -> None:
    """As the device, by MQTT where it is to be checked."""
    if mqtt is None:
        async with IotClient(url, token, patience_s=PATIENCE_S) as itself:
            for taken in await itself.commands.take(device, wait_s=DEADLINE_S):
                await itself.commands.answer(device, taken.id)
        return
    async with _connection(mqtt, device, token) as connection:
        await connection.answer((await anext(connection.commands())).id)


def _connection(mqtt: Address, device: str, token: str) -> DeviceConnection:
    return DeviceConnection(mqtt.host, mqtt.port, device, token, tls=mqtt.tls, patience_s=PATIENCE_S)


async def _history(iot: IotClient, device: str) -> dict[str, Any]:
    return {one.metric: one.value async for one in iot.history.readings(device)}


async def _twin(iot: IotClient, device: str) -> dict[str, Any]:
    twin = await iot.twins.get(device)
    return {metric: latest.value for metric, latest in twin.latest.items()}


async def _until(read: Callable[[], Awaitable[dict[str, Any]]], sent: dict[str, float], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while (found := await read()) != sent:
        if time.monotonic() > deadline_s:
            raise Unavailable(f"the {what} holds {found} instead of {sent}, {DEADLINE_S:g} s after it was acknowledged")
        await asyncio.sleep(POLL_S)
