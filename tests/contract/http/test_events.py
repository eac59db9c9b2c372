"""Events through real servers: complete, in order, resumable on another pod, narrowed by who asks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chart_harness.waiting import until

from tests.contract.http.asking import DEADLINE_S, device_client, listening, ok, register, take
from tests.harness.nats import NatsServer
from tests.harness.system import System, running_system

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_changes_are_told_to_the_readers_of_every_pod(system: System) -> None:
    await register(system, "a1", room="a-room")
    one, other = (pod.admin for pod in system.pods)
    async with listening(one, "?device=a1") as here, listening(other, "?room=a-room") as there:
        await ok(one.patch("/v1/devices/a1/twin/desired", json={"mode": "on"}))
        given = await ok(one.post("/v1/devices/a1/commands", json={"name": "ping", "id": "c1"}))
        (twin, command), again = await take(here, 2), await take(there, 2)
    assert (twin["kind"], twin["device"], twin["room"]) == ("twin", "a1", "a-room")
    assert (twin["data"]["desired"], twin["data"]["version"]) == ({"mode": "on"}, 1)
    assert (command["kind"], command["data"]) == ("command", given)
    assert again == [twin, command]


async def test_a_command_is_told_through_all_of_its_life(system: System) -> None:
    await register(system, "b1")
    itself, admin = await device_client(system, "b1"), system.pod.admin
    async with listening(admin, "?device=b1&kind=command") as events:
        await ok(admin.post("/v1/devices/b1/commands", json={"name": "ping", "id": "c1"}))
        await ok(itself.get("/v1/devices/me/commands?status=pending"))
        await ok(itself.post("/v1/devices/me/commands/c1/result", json={"status": "succeeded", "payload": 7}))
        told = await take(events, 3)
    assert [one["data"]["status"] for one in told] == ["queued", "delivered", "succeeded"]
    assert told[-1]["data"]["result"] == 7


async def test_readings_are_told_while_somebody_listens(system: System) -> None:
    await register(system, "c1", room="c-room")
    admin = system.pod.admin
    async with listening(admin, "?kind=reading&room=c-room") as events:
        first = asyncio.ensure_future(anext(events))
        number = 0
        while not first.done():  # a shard hears a little later that somebody listens
            number += 1
            await ok(admin.post("/v1/devices/c1/telemetry", json={"t": number}))
            await asyncio.wait([first], timeout=0.1)
        heard = [(await first)["data"]["values"]["t"]]
        for _ in range(10):
            number += 1
            await ok(admin.post("/v1/devices/c1/telemetry", json={"t": number}))
        while heard[-1] < number:
            (one,) = await take(events, 1)
            heard.append(one["data"]["values"]["t"])
    assert heard == list(range(heard[0], number + 1))


async def test_a_reader_that_lost_its_pod_misses_nothing_on_another(system: System) -> None:
    await register(system, "d1")
    one, other = (pod.admin for pod in system.pods)
    heard: list[int] = []

    async def change(number: int) -> None:
        await ok(one.patch("/v1/devices/d1/twin/desired", json={"n": number}))

    async with listening(one, "?device=d1") as events:
        await change(1)
        (last,) = await take(events, 1)
        heard.append(last["data"]["desired"]["n"])
    for number in (2, 3):
        await change(number)
    async with listening(other, "?device=d1", after=last["id"]) as events:
        await change(4)
        while heard[-1] < 4:
            (one_more,) = await take(events, 1)
            heard.append(one_more["data"]["desired"]["n"])
    assert heard == [1, 2, 3, 4]


async def test_each_hears_what_they_may_see(system: System) -> None:
    await register(system, "e1", room="e-room")
    await register(system, "e2", room="e-hall")
    admin = system.pod.admin
    itself = await device_client(system, "e1")
    narrow = system.pod.client((await system.pod.api_token("viewer", "room:e-hall"))[1])
    system.pod.clients.append(narrow)
    async with listening(itself, "?kind=twin") as own, listening(narrow, "?kind=twin") as hall:
        for device in ("e1", "e2"):
            await ok(admin.patch(f"/v1/devices/{device}/twin/desired", json={"a": 1}))
            await ok(admin.patch(f"/v1/devices/{device}/twin/desired", json={"a": 2}))
        assert [one["device"] for one in await take(own, 2)] == ["e1", "e1"]
        assert [one["device"] for one in await take(hall, 2)] == ["e2", "e2"]


async def test_a_position_of_another_stream_is_told_as_a_gap(system: System) -> None:
    await register(system, "f1")
    admin = system.pod.admin
    async with listening(admin, "?device=f1&kind=twin", after="999999999-0") as events:
        await ok(admin.patch("/v1/devices/f1/twin/desired", json={"a": 1}))
        gap, change = await take(events, 2)
    assert gap["kind"] == "gap"
    assert change["data"]["desired"] == {"a": 1}


async def test_many_who_wait_and_listen_all_hear_everything(system: System) -> None:
    ids = [f"g{number}" for number in range(5)]
    await register(system, *ids)
    admin = system.pod.admin

    async def hear(id_: str, opened: asyncio.Semaphore) -> list[Any]:
        async with listening(admin, f"?device={id_}&kind=twin") as events:
            opened.release()
            return [one["data"]["desired"]["n"] for one in await take(events, 20)]

    opened = asyncio.Semaphore(0)
    hearing = [asyncio.create_task(hear(id_, opened)) for id_ in ids * 4]
    for _ in hearing:
        await opened.acquire()
    for number in range(20):
        await asyncio.gather(*(ok(admin.patch(f"/v1/devices/{id_}/twin/desired", json={"n": number})) for id_ in ids))
    assert await asyncio.gather(*hearing) == [list(range(20))] * len(hearing)


async def test_after_the_broker_was_away_the_stream_goes_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running_system(tmp_path_factory.mktemp("system")) as system:
        await register(system, "a1")
        admin = system.pod.admin
        async with listening(admin, "?device=a1&kind=twin") as events:
            await ok(admin.patch("/v1/devices/a1/twin/desired", json={"n": 1}))
            await take(events, 1)
            assert isinstance(system.broker, NatsServer)
            system.broker.kill()
            await asyncio.to_thread(system.broker.start)

            async def is_changed() -> bool:
                return (await admin.patch("/v1/devices/a1/twin/desired", json={"n": 2})).is_success

            await until(is_changed, within_s=DEADLINE_S)
            (one,) = await take(events, 1)
            assert one["data"]["desired"] == {"n": 2}
