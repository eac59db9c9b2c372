"""Round trips of commands one after the other, in turn with the bare hops."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
from iot_system.errors import Unavailable

from bench import figures
from bench.commands.device import obedient_device
from bench.commands.hops import TIMES, hops
from bench.context import Context, ground
from bench.http_client import HttpClient, http_client
from bench.servers import System
from bench.sides.ours import issue_tokens, register_devices
from bench.workload import device

TRIP = "command, by REST and MQTT and back"
TRIPS = 300
"""In a round, of commands and of each hop."""
WARM_UP = 30
WAIT_S = 10


class Latency(msgspec.Struct, frozen=True):
    """Of `TRIPS` in a round, in milliseconds."""

    what: str
    round: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


class Commands(msgspec.Struct, frozen=True):
    """``hops`` says how often a trip takes each of the others."""

    trip: str
    hops: dict[str, int]
    latencies: list[Latency]


async def commands(context: Context) -> Commands:
    """Measure. Raises `Unavailable` where a server fails, or a command does not succeed."""
    id_, found = device(0), list[Latency]()
    async with ground() as on:
        system = System(on.children, on.folder, await on.postgres.create("ours"))
        await system.start()
        await register_devices(system, 1)
        (token,) = await issue_tokens(system, 1)
        context.tell("NATS, actor system and API run")
        async with (
            obedient_device(system.mqtt_port, id_, token),
            hops(on, system.broker_port) as bare,
            http_client(system.http_port, system.admin_token) as http,
        ):
            calls = {**bare, TRIP: lambda: _trip(http, id_)}
            for call in calls.values():
                await _latency("", call, WARM_UP, round_=-1)
            for round_ in range(context.rounds):
                for what in figures.order(list(calls), round_):
                    found.append(one := await _latency(what, calls[what], TRIPS, round_=round_))
                    context.tell(f"round {round_ + 1}  {what:<40} p50 {one.p50_ms:6.2f} ms, p99 {one.p99_ms:6.2f} ms")
    return Commands(trip=TRIP, hops=dict(TIMES), latencies=found)


async def _trip(http: HttpClient, id_: str) -> None:
    """Give a command, and wait for its result."""
    given = await http.request("POST", f"/v1/devices/{id_}/commands", {"name": "turn", "payload": {"to": 1}})
    command = given
    while command["status"] not in ("succeeded", "failed", "expired", "cancelled"):
        command = await http.request("GET", f"/v1/devices/{id_}/commands/{given['id']}?wait_s={WAIT_S}")
    if command["status"] != "succeeded":
        raise Unavailable(f"command {given['id']} has {command['status']}: {command.get('reason')}")


async def _latency(what: str, call: Callable[[], Awaitable[object]], times: int, *, round_: int) -> Latency:
    taken_ms = []
    for _ in range(times):
        began_s = time.perf_counter()
        await call()
        taken_ms.append((time.perf_counter() - began_s) * 1000)
    taken_ms.sort()
    return Latency(what, round_, taken_ms[times // 2], taken_ms[times * 99 // 100], taken_ms[-1])
