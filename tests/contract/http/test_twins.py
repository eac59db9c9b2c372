"""Twins and desired state of devices through real servers."""

from __future__ import annotations

import asyncio

import pytest
from chart_harness.waiting import until
from iot_system.domain.access import Principal
from iot_system.domain.deliveries import Delivery, Desired
from iot_system.domain.signals import CommandDelivered, Connected, DesiredDelivered, Disconnected, Reported, Signal

from tests.contract.http.asking import DEADLINE_S, becomes, ok, register
from tests.harness.system import System
from tests.unit.http.expected import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_twin_of_a_device_that_said_nothing_is_empty(system: System) -> None:
    await register(system, "a1", room="a-room")
    twin = await system.pod.admin.get("/v1/devices/a1/twin")
    assert twin.headers["etag"] == '"0"'
    assert twin.json() == {
        "device": "a1",
        "room": "a-room",
        "reported": {},
        "desired": {},
        "version": {"reported": 0, "desired": 0},
        "delivered": 0,
        "connected": False,
        "last_seen": None,
        "left": None,
        "left_reason": None,
        "latest": {},
    }


async def test_desired_state_merges_under_its_version_and_is_seen_by_every_pod(system: System) -> None:
    await register(system, "b1")
    one, other = (pod.admin for pod in system.pods)
    path = "/v1/devices/b1/twin/desired"
    first = await one.patch(path, json={"mode": {"fan": "on", "speed": 3}})
    assert (first.status_code, first.json()) == (200, {"desired": {"mode": {"fan": "on", "speed": 3}}, "version": 1})
    stale = await other.patch(path, json={"mode": None}, headers={"If-Match": '"0"'})
    problem(stale, 412, "precondition-failed")
    second = await other.patch(path, json={"mode": {"speed": None}}, headers={"If-Match": first.headers["etag"]})
    assert (second.json(), second.headers["etag"]) == ({"desired": {"mode": {"fan": "on"}}, "version": 2}, '"2"')
    twin = await ok(one.get("/v1/devices/b1/twin"))
    assert (twin["desired"], twin["version"]["desired"]) == ({"mode": {"fan": "on"}}, 2)


async def test_of_many_who_change_one_version_exactly_one_passes(system: System) -> None:
    await register(system, "c1")

    async def change(number: int) -> int:
        pod = system.pods[number % len(system.pods)]
        patch = {str(number): True}
        response = await pod.admin.patch("/v1/devices/c1/twin/desired", json=patch, headers={"If-Match": '"0"'})
        return response.status_code

    answers = await asyncio.gather(*map(change, range(10)))
    assert sorted(answers) == [200] + [412] * 9
    twin = await ok(system.pod.admin.get("/v1/devices/c1/twin"))
    assert (twin["version"]["desired"], len(twin["desired"])) == (1, 1)


async def test_desired_state_of_no_device_and_more_than_there_is_room_for_are_refused(system: System) -> None:
    await register(system, "d1")
    admin = system.pod.admin
    problem(await admin.patch("/v1/devices/nobody/twin/desired", json={"a": 1}), 404, "not-found")
    problem(await admin.patch("/v1/devices/d1/twin/desired", json={"a": "x" * 70_000}), 413, "too-large")
    assert (await ok(admin.get("/v1/devices/d1/twin")))["desired"] == {}


async def test_a_twin_tells_whether_its_device_is_connected_and_why_it_left(system: System) -> None:
    await register(system, "e1")
    pod, got = system.pod, list[Delivery]()
    pod.gateway.on_delivery(got.append)
    itself, now_us = Principal("device", "e1"), pod.gateway.now_us
    await ok(pod.admin.patch("/v1/devices/e1/twin/desired", json={"mode": "on"}))
    await ok(pod.admin.post("/v1/devices/e1/commands", json={"name": "ping", "id": "c1"}))
    arrived: list[Signal] = [Connected("e1", pod.gateway.name, "x1", now_us(), wants_desired=True, wants_commands=True)]
    arrived.append(Reported("e1", {"firmware": "1.2"}, now_us()))
    assert await pod.gateway.ingest(itself, arrived) == [None, None]
    await becomes(pod.admin, "/v1/devices/e1/twin", {"connected": True, "reported": {"firmware": "1.2"}})
    await until(lambda: any(one.commands for one in got), within_s=DEADLINE_S)
    assert {one.connection for one in got} == {"x1"}
    assert [one.desired for one in got if one.desired] == [Desired(1, {"mode": "on"}, is_whole=True)]
    assert [command.id for one in got for command in one.commands] == ["c1"]
    left: list[Signal] = [DesiredDelivered("e1", 1, now_us()), CommandDelivered("e1", "c1", now_us())]
    left.append(Disconnected("e1", "x1", "the client said goodbye", now_us()))
    assert await pod.gateway.ingest(itself, left) == [None] * 3
    await becomes(pod.admin, "/v1/devices/e1/twin", {"connected": False, "left_reason": "the client said goodbye"})
    twin = await ok(pod.admin.get("/v1/devices/e1/twin"))
    assert (twin["delivered"], twin["version"]) == (1, {"reported": 1, "desired": 1})
    assert twin["last_seen"] >= twin["left"] > 1_700_000_000_000
    assert (await ok(pod.admin.get("/v1/devices/e1/commands/c1")))["status"] == "delivered"
