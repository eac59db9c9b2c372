"""A device that carries out whatever it is told, at once: by gmqtt, as a user's device might."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from gmqtt import Client
from gmqtt.mqtt.constants import MQTTv50

COMMANDS = "v1/devices/me/commands/+/+"
SUCCEEDED = msgspec.json.encode({"status": "succeeded", "payload": {"done": True}})


@contextlib.asynccontextmanager
async def obedient_device(port: int, id_: str, token: str) -> AsyncIterator[None]:
    """Connected and subscribed; each command is answered by its success."""
    client = Client(f"{id_}-commands", clean_session=True)
    client.set_auth_credentials(id_, token)
    subscribed = asyncio.Event()

    def carry_out(_client: object, topic: str, *_: Any) -> None:
        command = topic.split("/")[4]
        client.publish(f"v1/devices/me/commands/{command}/result", SUCCEEDED, qos=1)

    client.on_message = carry_out
    client.on_subscribe = lambda *_: subscribed.set()
    await client.connect("127.0.0.1", port, version=MQTTv50)
    try:
        client.subscribe(COMMANDS, qos=1)
        await subscribed.wait()
        yield
    finally:
        await client.disconnect()
