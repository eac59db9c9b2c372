"""A service's password at NATS is exchanged while it is connected: the server knows another one, then its file does."""

from __future__ import annotations

from pathlib import Path

import pytest
from chart_harness.waiting import until
from iot_system.adapters.nats.connection import connect, disconnect
from iot_system.adapters.nats.permissions import API
from iot_system.errors import InvalidSetting, Unavailable
from iot_system.settings import BrokerSettings
from nats.aio.msg import Msg

from tests.harness.nats import PASSWORD, answers, running_nats

DEADLINE_S = 20.0


@pytest.mark.usefixtures("impatient")
async def test_who_is_sent_away_comes_back_with_the_password_that_its_file_has_then(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    async with running_nats(tmp_path) as server:
        settings = BrokerSettings(urls=server.url, user=API, password_file=str(file))
        client = await connect(settings, name="test")
        heard: list[bytes] = []

        async def hear(message: Msg) -> None:
            heard.append(message.data)

        await client.subscribe("iot.changed", cb=hear)
        assert await answers(client)
        server.change(f"{{user: {API}, password: {PASSWORD}", f"{{user: {API}, password: another")
        await until(lambda: not client.is_connected, within_s=DEADLINE_S, why="the old password is still good")
        assert not client.is_closed
        with pytest.raises(Unavailable, match=r"(?i)authorization violation"):
            await connect(settings, name="old")
        file.write_text("another\n")
        await until(lambda: answers(client), within_s=DEADLINE_S, why="it does not come back")
        await client.publish("iot.changed", b"after")
        await until(lambda: heard == [b"after"], within_s=DEADLINE_S, why="it does not hear what it heard before")
        await disconnect(client)


async def test_a_password_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    async with running_nats(tmp_path) as server:
        settings = BrokerSettings(urls=server.url, user=API, password_file=str(tmp_path / "none"))
        with pytest.raises(InvalidSetting, match=r"NATS_PASSWORD_FILE \(.*none\) cannot be read: No such file"):
            await connect(settings, name="test")
