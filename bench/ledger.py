"""The tests' own load at its goal of 20,000 readings/s: what it takes itself, and what its ledger and checker take.

Half of the devices speak MQTT, half REST. The system that they speak to is the one that tests have in a process: what
is measured is on the other side.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from iot_system.errors import Unavailable

from bench.context import Context
from bench.embedded import Embedded
from bench.http_client import HOST
from bench.programs import program
from bench.workload import DEVICES, device, room
from tests.harness.applied import check_applied, settle
from tests.harness.checker import Checker
from tests.harness.load.log import LoadLedger
from tests.harness.load.order import Cost, Device, Order
from tests.harness.load.process import LoadProcess
from tests.harness.load.script import METRICS, Script
from tests.harness.rest import Rest

READINGS_A_SECOND = 20_000
FOLLOW_S = 0.1
LATE_S = 10.0


class LedgerRun(msgspec.Struct, frozen=True):
    """One round: ``readings`` acknowledged in ``seconds``.

    Processor seconds: ``load_cpu_s`` of the process that sends and writes the ledger, ``follow_cpu_s`` of reading that
    meanwhile, ``check_cpu_s`` of getting history and all twins by REST and checking them.
    """

    round: int
    readings: int
    seconds: float
    load_cpu_s: float
    follow_cpu_s: float
    check_cpu_s: float


class Ledgers(msgspec.Struct, frozen=True):
    """All rounds, in each of which nothing was lost, doubled, wrong or late."""

    readings_a_second: int
    runs: list[LedgerRun]


async def ledger(context: Context) -> Ledgers:
    """Measure. Raises `Unavailable` where the checker finds anything."""
    seconds = max(1.0, context.messages * METRICS / READINGS_A_SECOND)
    runs: list[LedgerRun] = []
    for number in range(context.rounds):
        async with program("bench.embedded") as system:
            run = await _run(await system.ask(None, Embedded), number, seconds)
        runs.append(run)
        context.tell(f"round {number + 1}  {run.load_cpu_s / run.seconds:.2f} of a core for the load")
    return Ledgers(READINGS_A_SECOND, runs)


async def _run(system: Embedded, number: int, seconds: float) -> LedgerRun:
    rooms = {device(place): room(place) for place in range(DEVICES)}
    rest = Rest(system.url, system.token)
    # Every other one by MQTT, so that rooms have both kinds.
    devices = [
        Device(name, token if place % 2 else None)
        for place, (name, token) in enumerate((name, rest.register(name, room=rooms[name])) for name in rooms)
    ]
    with tempfile.TemporaryDirectory(prefix="iot-ledger-") as folder:
        order = _order(system, number, devices, seconds, Path(folder) / "ledger")
        load = LoadProcess(order, LoadLedger(order.script, list(rooms)))
        cost, follow_cpu_s = await _followed(load, seconds)
    used_s = time.process_time()
    await asyncio.to_thread(_check, rest, load.ledger, rooms)
    check_cpu_s = time.process_time() - used_s
    rest.close()
    return LedgerRun(number, cost.readings, cost.seconds, cost.cpu_s, follow_cpu_s, check_cpu_s)


def _order(system: Embedded, number: int, devices: list[Device], seconds: float, log: Path) -> Order:
    a_second = READINGS_A_SECOND / METRICS / len(devices)
    begin_ms = time.time_ns() // 1_000_000 - round(2000 * seconds)
    return Order(
        url=system.url,
        mqtt=(HOST, system.mqtt_port),
        token=system.token,
        devices=devices,
        script=Script(number, begin_ms, round(1000 / a_second)),
        messages_a_second=a_second,
        seconds=2 * seconds,
        log=str(log),
    )


async def _followed(load: LoadProcess, seconds: float) -> tuple[Cost, float]:
    """What it has taken, and processor seconds of reading what it wrote meanwhile."""
    began_s, used_s = time.monotonic(), 0.0
    with load:
        while time.monotonic() - began_s < seconds:
            await asyncio.sleep(FOLLOW_S)
            before_s = time.process_time()
            load.follow()
            used_s += time.process_time() - before_s
        return await asyncio.to_thread(load.stop), used_s


def _check(rest: Rest, ledger: LoadLedger, rooms: Mapping[str, str]) -> None:
    """Raises `Unavailable` with what is found."""
    settle(rest, rooms)
    checker = Checker(ledger, acknowledged_within_s=LATE_S)
    check_applied(checker, rest, rooms)
    if not checker.findings.clean:
        raise Unavailable(f"the checker found {checker.findings}")
