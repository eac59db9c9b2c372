"""A load in a process of its own, against the whole system: what it writes down is what the system has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
from chart_harness.waiting import until, wait_until
from iot_system.client import IotClient
from iot_system.client.events import EventStream

from tests.contract.client.cutting import CUTS, cutting
from tests.contract.client.shared import Shared
from tests.harness.applied import check_applied, history, settle
from tests.harness.checker import Checker
from tests.harness.load.log import LoadLedger
from tests.harness.load.order import MOST_READINGS_A_SECOND, MOST_SECONDS, Device, Order
from tests.harness.load.process import LoadProcess
from tests.harness.load.script import Script
from tests.harness.rest import Rest

A_SECOND = 40
ENOUGH = 3_000
WITHIN_S = 60.0
LATE_S = 30.0


def order_of(system: Shared, log: Path, devices: Sequence[Device], *, mqtt: tuple[str, int] | None = None) -> Order:
    return Order(
        url=system.url,
        mqtt=mqtt or system.mqtt,
        token=system.admin_token,
        devices=list(devices),
        script=Script(seed=1, begin_ms=time.time_ns() // 1_000_000 - 3_600_000, step_ms=20),
        messages_a_second=A_SECOND,
        seconds=WITHIN_S,
        log=str(log),
        connections=1,
    )


def registered(rest: Rest, room: str) -> list[Device]:
    """Two that speak MQTT, and two that speak REST."""
    by_mqtt = [Device(name, rest.register(name, room=room)) for name in (f"{room}-m1", f"{room}-m2")]
    by_rest = [Device(f"{room}-r1"), Device(f"{room}-r2")]
    for device in by_rest:
        rest.register(device.id, room=room)
    return [*by_mqtt, *by_rest]


def load_of(order: Order) -> LoadProcess:
    return LoadProcess(order, LoadLedger(order.script, [device.id for device in order.devices]))


def has_enough(load: LoadProcess) -> bool:
    load.follow()
    return load.ledger.count_acknowledged() >= ENOUGH


@asynccontextmanager
async def telling(system: Shared, devices: Sequence[str]) -> AsyncIterator[Mapping[str, list[int]]]:
    """Device → times of its messages in the order in which they are applied, as they are."""
    told: dict[str, list[int]] = {device: [0] for device in devices}

    async def listen(events: EventStream) -> None:
        async for event in events:
            told[str(event.device)].append(int(event.ts or 0))

    async with (
        IotClient(system.url, system.admin_token) as iot,
        iot.events.listen(devices=devices, kinds=["reading"]) as stream,
    ):
        listening = asyncio.create_task(listen(stream))
        try:
            yield told
        finally:
            listening.cancel()


def checked(rest: Rest, load: LoadProcess, devices: Sequence[Device], room: str) -> Checker:
    """All that can be looked at afterwards."""
    rooms = dict.fromkeys((device.id for device in devices), room)
    settle(rest, rooms)
    checker = Checker(load.ledger, acknowledged_within_s=LATE_S)
    check_applied(checker, rest, rooms)
    return checker


def test_what_a_load_was_acknowledged_for_is_in_history_twins_and_room(
    system: Shared, rest: Rest, tmp_path: Path
) -> None:
    devices = registered(rest, "quiet")
    with load_of(order_of(system, tmp_path / "log", devices)) as load:
        wait_until(partial(has_enough, load), within_s=WITHIN_S)
        cost = load.stop()
    assert cost.readings == load.ledger.count_acknowledged() >= ENOUGH
    assert cost.reconnections == 0
    assert cost.readings <= load.rate * cost.seconds
    assert load.ledger.devices() == sorted(device.id for device in devices)
    findings = checked(rest, load, devices, "quiet").findings
    assert findings.clean, findings


async def test_a_load_whose_connections_break_sends_again_and_nothing_is_lost_or_doubled(
    system: Shared, rest: Rest, tmp_path: Path
) -> None:
    devices = registered(rest, "broken")[:2]
    async with cutting(*system.mqtt, after_bytes=200) as proxy:
        with load_of(order_of(system, tmp_path / "log", devices, mqtt=proxy.address)) as load:
            async with telling(system, [device.id for device in devices]) as applied:
                await until(lambda: has_enough(load) and proxy.cuts == CUTS, within_s=WITHIN_S)
                cost = await asyncio.to_thread(load.stop)
                newest = {device.id: load.ledger.account(device.id).messages[-1].ts for device in devices}
                await until(lambda: newest == {one: max(applied[one]) for one in newest}, within_s=WITHIN_S)
    assert cost.reconnections == CUTS
    checker = checked(rest, load, devices, "broken")
    for name, told in applied.items():
        checker.order(name, told)
    findings = checker.findings
    assert findings.clean, findings


def test_what_the_system_has_no_more_is_found_as_lost(system: Shared, rest: Rest, tmp_path: Path) -> None:
    devices = registered(rest, "other")
    with load_of(order_of(system, tmp_path / "log", devices)) as load:
        wait_until(partial(has_enough, load), within_s=WITHIN_S)
        load.stop()
    rest.request("DELETE", f"/v1/devices/{devices[0].id}")
    names = [device.id for device in devices]
    settle(rest, dict.fromkeys(names[1:], "other"))
    findings = load.ledger.compare(history(rest, names[1:]))
    assert len(findings.lost) == len(load.ledger.account(names[0]).acknowledged)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"mqtt": ["8.8.8.8", 1883]},
            "mqtt is of 8.8.8.8; a load goes to loopback or to a cluster's private address alone",
        ),
        ({"url": "http://8.8.4.4:80"}, "url is of 8.8.4.4; a load goes to loopback or to a cluster's private address"),
        ({"messages_a_second": 1e6}, f"12,000,000 readings a second; the limit is {MOST_READINGS_A_SECOND:,}"),
        ({"seconds": 1e6}, f"seconds is 1e.06; the limit is {MOST_SECONDS:,}"),
    ],
)
def test_an_order_beyond_its_bounds_is_refused(
    system: Shared, tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    order = order_of(system, tmp_path / "log", [Device("a"), Device("b")])
    with pytest.raises(ValueError, match=sentence):
        msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(order) | changes), type=Order)
