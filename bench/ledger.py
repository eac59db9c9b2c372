"""The tests' own load at its goal of 20,000 readings/s: what it takes itself, and what its ledger and checker take.

Half of the devices speak MQTT, half REST. The side that sends is the tests' (`tests.harness.load`), so are ledger and
checker; what they check is this system.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
from iot_system.errors import Unavailable

from bench.context import Context, Ground, ground
from bench.http_client import HOST
from bench.servers import System
from bench.sides.ours import issue_tokens, register_devices
from bench.workload import DEVICES, device, room
from tests.harness.applied import check_applied
from tests.harness.checker import Checker
from tests.harness.load.log import LoadLedger
from tests.harness.load.order import Cost, Device, Order
from tests.harness.load.process import LoadProcess
from tests.harness.load.script import METRICS, Script
from tests.harness.rest import Rest

READINGS_A_SECOND = 20_000
FOLLOW_S = 0.1
APPLIED_WITHIN_S = 60.0
LATE_S = 10.0


class LedgerRun(msgspec.Struct, frozen=True):
    """One round: ``readings`` acknowledged in ``seconds``.

    Processor seconds: ``load_cpu_s`` of the process that sends and writes the ledger, ``follow_cpu_s`` of reading it
    meanwhile, ``check_cpu_s`` of getting ``rows`` of history and all twins by REST and checking them.
    """

    round: int
    readings: int
    seconds: float
    load_cpu_s: float
    follow_cpu_s: float
    rows: int
    check_cpu_s: float


class Ledgers(msgspec.Struct, frozen=True):
    """All rounds, in each of which nothing was lost, doubled, wrong or late."""

    readings_a_second: int
    runs: list[LedgerRun]


class _Round(NamedTuple):
    """Its own devices, so that what was sent before is none of its business."""

    number: int
    devices: list[Device]
    seconds: float


async def ledger(context: Context) -> Ledgers:
    """Measure. Raises `Unavailable` where the checker finds anything."""
    seconds = max(1.0, context.messages * METRICS / READINGS_A_SECOND)
    runs: list[LedgerRun] = []
    async with ground() as on:
        system = System(on.children, on.folder, await on.postgres.create("ours"))
        await system.start()
        await register_devices(system, DEVICES * context.rounds)
        tokens = await issue_tokens(system, DEVICES * context.rounds)
        for number in range(context.rounds):
            places = range(number * DEVICES, (number + 1) * DEVICES)
            # Rooms have both kinds.
            devices = [Device(device(place), tokens[place] if place % 2 else None) for place in places]
            runs.append(run := await _run(on, system, _Round(number, devices, seconds)))
            context.tell(f"round {number + 1}  {run.load_cpu_s / run.seconds:.2f} of a core for the load")
    return Ledgers(READINGS_A_SECOND, runs)


async def _run(on: Ground, system: System, round_: _Round) -> LedgerRun:
    order = _order(system, round_, on.folder / f"ledger-{round_.number}")
    before, began_s = await system.applied(), time.monotonic()
    follow_cpu_s = 0.0
    with LoadProcess(order, LoadLedger(order.script, [one.id for one in round_.devices])) as load:
        while time.monotonic() - began_s < round_.seconds:
            await asyncio.sleep(FOLLOW_S)
            used_s = time.process_time()
            load.follow()
            follow_cpu_s += time.process_time() - used_s
        cost = await asyncio.to_thread(load.stop)
    await _wait_until_applied(system, before + cost.readings // METRICS)
    used_s = time.process_time()
    rows = await asyncio.to_thread(_check, system, load, round_)
    check_cpu_s = time.process_time() - used_s
    return _told(round_, cost, follow_cpu_s, rows, check_cpu_s)


def _order(system: System, round_: _Round, log: Path) -> Order:
    a_second = READINGS_A_SECOND / METRICS / len(round_.devices)
    step_ms = round(1000 / a_second)
    begin_ms = time.time_ns() // 1_000_000 - round(2000 * round_.seconds)
    return Order(
        url=system.url,
        mqtt=(HOST, system.mqtt_port),
        token=system.admin_token,
        devices=round_.devices,
        script=Script(round_.number, begin_ms, step_ms),
        messages_a_second=a_second,
        seconds=2 * round_.seconds,
        log=str(log),
    )


async def _wait_until_applied(system: System, messages: int) -> None:
    deadline_s = time.monotonic() + APPLIED_WITHIN_S
    while (applied := await system.applied()) < messages:
        if time.monotonic() > deadline_s:
            raise Unavailable(f"{applied} of {messages} messages are applied after {APPLIED_WITHIN_S:g} s")
        await asyncio.sleep(FOLLOW_S)


def _check(system: System, load: LoadProcess, round_: _Round) -> int:
    """Returns how many rows there were. Raises `Unavailable` with what is found."""
    rest, checker = Rest(system.url, system.admin_token), Checker(load.ledger, acknowledged_within_s=LATE_S)
    places = enumerate(round_.devices, round_.number * DEVICES)
    check_applied(checker, rest, {one.id: room(place) for place, one in places})
    rest.close()
    if not checker.findings.clean:
        raise Unavailable(f"the checker found {checker.findings}")
    return load.ledger.count_acknowledged()


def _told(round_: _Round, cost: Cost, follow_cpu_s: float, rows: int, check_cpu_s: float) -> LedgerRun:
    return LedgerRun(round_.number, cost.readings, cost.seconds, cost.cpu_s, follow_cpu_s, rows, check_cpu_s)
