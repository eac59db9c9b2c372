"""Events through the library, against the real system."""

from __future__ import annotations

import asyncio

import pytest
from iot_system.client import IotClient, NewDevice
from iot_system.errors import InvalidInput, NotFound, Unauthenticated

from tests.contract.client.shared import Shared

DEADLINE_S = 30.0


async def test_changes_are_told_as_they_happen_and_after_a_break(iot: IotClient) -> None:
    await iot.devices.register(NewDevice(id=id_, room="e-room") for id_ in ("e-1", "e-2"))
    async with asyncio.timeout(DEADLINE_S):
        async with iot.events.listen(devices=["e-1"], kinds=["twin"]) as events:
            await iot.twins.desire("e-2", {"other": True})
            await iot.twins.desire("e-1", {"a": 1})
            first = await anext(events)
        await iot.twins.desire("e-1", {"a": 2})
        async with iot.events.listen(devices=["e-1"], kinds=["twin"], after=first.id) as events:
            second = await anext(events)
    assert (first.kind, first.device, first.data["desired"]) == ("twin", "e-1", {"a": 1})
    assert (second.device, second.data["desired"], second.data["version"]) == ("e-1", {"a": 2}, 2)


async def test_readings_are_told_while_somebody_listens(iot: IotClient) -> None:
    await iot.devices.create(NewDevice(id="e-3", room="e-hall"))
    async with asyncio.timeout(DEADLINE_S), iot.events.listen(rooms=["e-hall"], kinds=["reading"]) as events:
        telling = asyncio.ensure_future(anext(events))
        while not telling.done():  # shards learn a moment later that somebody listens
            await iot.telemetry.send("e-3", {"t": 21.5})
            await asyncio.wait([telling], timeout=0.2)
        event = await telling
    assert (event.kind, event.device, event.room, event.data) == ("reading", "e-3", "e-hall", {"values": {"t": 21.5}})


async def test_a_stream_that_nobody_may_have_is_refused(system: Shared) -> None:
    async with IotClient(system.url, "not a token") as nobody:
        with pytest.raises(Unauthenticated):
            async with nobody.events.listen():
                raise AssertionError


async def test_a_kind_that_is_none_is_refused(iot: IotClient) -> None:
    with pytest.raises(InvalidInput, match="kind is 'noise'"):
        async with iot.events.listen(kinds=["noise"]):
            raise AssertionError


async def test_a_token_is_made_used_listed_and_revoked(iot: IotClient, system: Shared) -> None:
    await iot.devices.register([NewDevice(id="e-4", room="e-lab"), NewDevice(id="e-5")])
    made = await iot.tokens.create("dashboard", "viewer", scopes=["room:e-lab"])
    assert (made.name, made.role, made.scopes, made.expires) == ("dashboard", "viewer", ["room:e-lab"], None)
    async with IotClient(system.url, made.token) as viewer:
        assert [device.id async for device in viewer.devices.list()] == ["e-4"]
        with pytest.raises(NotFound):
            await viewer.twins.get("e-5")
    assert made.id in [token.id async for token in iot.tokens.list()]
    await iot.tokens.delete(made.id)
    assert made.id not in [token.id async for token in iot.tokens.list()]
    with pytest.raises(NotFound):
        await iot.tokens.delete(made.id)
