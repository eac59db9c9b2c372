"""The services run on uvloop, whose transports are not asyncio's own classes."""

from __future__ import annotations

import uvloop
from iot_system.adapters.mqtt.packets import Disconnect

from tests.contract.mqtt.serving import serving


async def _send_and_leave() -> None:
    async with serving() as served:
        await served.check_works()
        client = await served.client("one")
        await client.send(Disconnect())
        assert await client.receive_rest() == []


def test_a_message_is_acknowledged_on_uvloop() -> None:
    uvloop.run(_send_and_leave())
