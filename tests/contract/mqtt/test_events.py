"""What people and programs are told below v1/, as their roles and scopes let them see."""

from __future__ import annotations

import asyncio
import json
from itertools import count

import pytest
from iot_system.adapters.mqtt import event_feed
from iot_system.adapters.mqtt.packets import MQTT_5, ConnAck, Connect, Disconnect, Options, Publish, SubAck, Subscribe
from iot_system.adapters.mqtt.properties import Properties

from tests.contract.mqtt.peers import Peer, peer, registered
from tests.contract.mqtt.serving import RawClient
from tests.harness.system import ADMIN_TOKEN, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)


@pytest.fixture
def id_() -> str:
    """A device of this test alone, in a room of its own."""
    return f"thing-{next(_numbers)}"


async def put_in(system: System, id_: str) -> str:
    (token,) = await registered(system.pod, id_, room=f"room-{id_}")
    return token


async def send(system: System, device: str, value: float) -> None:
    body = {"ts": 1_700_000_000_000 + value, "values": {"t": value}}
    answer = await system.pods[1].admin.post(f"/v1/devices/{device}/telemetry", json=body)
    assert answer.status_code == 202, answer.text


async def told(listener: Peer, system: System, device: str, value: float = 1) -> None:
    """A first reading arrives: from now on readings are told."""
    await send(system, device, value)
    await listener.until(lambda topic, body: topic == f"v1/devices/{device}/telemetry")


async def test_each_event_has_its_topic(system: System, id_: str) -> None:
    token = await put_in(system, id_)
    admin, own = system.pods[1].admin, f"v1/devices/{id_}"
    async with peer(system.pod) as listener:
        assert await listener.subscribe(f"{own}/#", f"v1/rooms/room-{id_}/twin") == [1, 1]
        topic, body = await listener.get()
        assert (topic, body["room"], body["version"]) == (f"v1/rooms/room-{id_}/twin", f"room-{id_}", 0)
        async with peer(system.pods[1], id_, token) as device:
            topic, body = await listener.get()
            assert (topic, body["connected"]) == (f"{own}/connection", True)
            await device.publish("v1/devices/me/twin/reported", {"fw": "1"})
            assert await listener.get() == (f"{own}/twin/reported", {"version": 1, "patch": {"fw": "1"}})
            await device.publish("v1/devices/me/telemetry", {"ts": 1_700_000_000_000, "values": {"t": 21.5}})
            assert await listener.get() == (f"{own}/telemetry", {"ts": 1_700_000_000_000, "values": {"t": 21.5}})
            await admin.patch(f"/v1/{own[3:]}/twin/desired", json={"led": "on"})
            assert await listener.get() == (f"{own}/twin/desired", {"version": 1, "patch": {"led": "on"}})
            await device.subscribe("v1/devices/me/commands/+/+")
            await admin.post(f"/{own}/commands", json={"id": "c-1", "name": "blink", "payload": {"times": 2}})
            assert await listener.get() == (f"{own}/commands/c-1/blink", {"times": 2})
            await device.publish("v1/devices/me/commands/c-1/result", {"status": "succeeded", "payload": "ok"})
            ended = {"status": "succeeded", "payload": "ok", "reason": None}
            assert await listener.get() == (f"{own}/commands/c-1/result", ended)
        await admin.patch(f"/v1/rooms/room-{id_}/twin/desired", json={"t": 20})
        found = dict([await listener.get() for _ in range(3)])
        assert found[f"v1/rooms/room-{id_}/twin"] == {"version": 1, "patch": {"t": 20}}
        assert found[f"{own}/connection"]["connected"] is False
        assert found[f"{own}/twin/desired"] == {"version": 2, "patch": {"t": 20}}


@pytest.mark.parametrize("filter_", ["v1/#", "v1/devices/+/telemetry", "#", "+/+/+/telemetry"])
async def test_wildcards_reach_across_devices(system: System, id_: str, filter_: str) -> None:
    await put_in(system, id_)
    async with peer(system.pod) as listener:
        await listener.subscribe(filter_)
        await told(listener, system, id_)


async def test_scopes_narrow_what_comes_message_by_message(system: System, id_: str) -> None:
    await put_in(system, id_)
    await put_in(system, f"{id_}-hidden")
    _, token = await system.pod.api_token("viewer", f"room:room-{id_}")
    async with peer(system.pod, "api", token) as listener, peer(system.pod) as witness:
        assert await listener.subscribe("v1/devices/+/telemetry", "v1/rooms/+/twin", "#", "app/x") == [1, 1, 0x87, 0x87]
        topic, _ = await listener.get()
        assert topic == f"v1/rooms/room-{id_}/twin"
        await witness.subscribe("v1/devices/+/telemetry")
        await told(witness, system, id_, 1)
        await listener.until(lambda topic, body: body["values"] == {"t": 1})
        await told(witness, system, f"{id_}-hidden", 2)
        await send(system, id_, 3)
        assert (await listener.get())[1]["values"] == {"t": 3}


async def test_a_kept_session_is_given_what_happened_while_its_client_was_away_on_another_pod(
    system: System, id_: str
) -> None:
    await put_in(system, id_)
    twin = f"v1/devices/{id_}/twin/desired"
    async with peer(system.pods[0], client_id=id_, keeps_session=True) as listener:
        await listener.subscribe(twin)
        await system.pod.admin.patch(f"/{twin}", json={"a": 1})
        assert (await listener.get())[1]["version"] == 1
    for version in (2, 3):
        await system.pod.admin.patch(f"/{twin}", json={"a": version})
    async with peer(system.pods[1], client_id=id_, keeps_session=True) as listener:
        assert [(await listener.get())[1]["version"] for _ in range(2)] == [2, 3]


async def test_subscriptions_that_follow_each_other_miss_nothing_and_get_nothing_twice(
    system: System, id_: str
) -> None:
    await put_in(system, id_)
    desired = f"v1/devices/{id_}/twin/desired"

    async def change() -> None:
        for number in range(60):
            await system.pods[1].admin.patch(f"/{desired}", json={"a": number})

    async with peer(system.pod) as listener:
        await listener.subscribe(desired)
        changing = asyncio.create_task(change())
        for kind in ("telemetry", "twin/reported", "connection", "alert", "commands/+/result"):
            await listener.subscribe(f"v1/devices/{id_}/{kind}")
        await changing
        assert [(await listener.get())[1]["version"] for _ in range(60)] == list(range(1, 61))


async def test_who_unsubscribes_gets_nothing_more(system: System, id_: str) -> None:
    await put_in(system, id_)
    async with peer(system.pod) as listener:
        await listener.subscribe("v1/devices/+/twin/desired", f"v1/devices/{id_}/twin/reported")
        await listener.client.unsubscribe("v1/devices/+/twin/desired")
        await system.pod.admin.patch(f"/v1/devices/{id_}/twin/desired", json={"a": 1})
        async with peer(system.pod, id_, await system.pod.token_of(id_)) as device:
            await device.publish("v1/devices/me/twin/reported", {"b": 1})
        assert (await listener.get())[0] == f"v1/devices/{id_}/twin/reported"


@pytest.mark.parametrize("filter_", ["$share/g/v1/devices/+/telemetry", "$share/g/#"])
async def test_a_shared_subscription_is_for_applications_topics_alone(system: System, filter_: str) -> None:
    async with peer(system.pod) as listener:
        assert await listener.subscribe(filter_) == [0x9E]


async def send_many(system: System, device: str, count: int) -> None:
    lines = [json.dumps({"device": device, "ts": ts, "values": {"t": ts}}) for ts in range(1, count + 1)]
    answer = await system.pods[1].admin.post(
        "/v1/telemetry", content="\n".join(lines), headers={"content-type": "application/x-ndjson"}
    )
    assert answer.status_code == 202


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_burst_reaches_who_keeps_up_with_it_though_some_of_it_twice(system: System, id_: str, qos: int) -> None:
    await put_in(system, id_)
    async with peer(system.pod) as listener:
        await listener.subscribe(f"v1/devices/{id_}/telemetry", qos=qos)
        await told(listener, system, id_)
        await send_many(system, id_, 5000)
        seen: dict[int, None] = {}
        while len(seen) < 5000:
            seen[(await listener.get())[1]["ts"]] = None
        assert list(seen) == list(range(1, 5001))


async def test_a_program_that_acknowledges_nothing_is_told_that_its_quota_is_exceeded(
    system: System, id_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "ROOM_WITHIN_S", 0.5)
    await put_in(system, id_)
    client = RawClient(*await asyncio.open_connection("127.0.0.1", system.pod.mqtt_port), MQTT_5)
    few = Properties(receive_maximum=1)
    await client.send(Connect("", MQTT_5, username="admin", password=ADMIN_TOKEN.encode(), properties=few))
    assert isinstance(await client.receive(), ConnAck)
    await client.send(Subscribe(1, ((f"v1/devices/{id_}/telemetry", Options(1)),)))
    assert isinstance(await client.receive(), SubAck)
    async with peer(system.pod) as witness:
        await witness.subscribe(f"v1/devices/{id_}/telemetry", qos=0)
        await told(witness, system, id_)
        await send_many(system, id_, 3000)
        first, *_, last = await client.receive_rest()
        assert isinstance(first, Publish)
        assert isinstance(last, Disconnect)
        assert last.reason_code == 0x97
        assert (await witness.get())[1]["ts"] == 1
    await client.close()
