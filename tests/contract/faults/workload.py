"""One run: devices, commands, desired states and messages between actors, all of it counted, while something is killed.

Everything is repeated with the same ids until it is acknowledged. What is random comes from the seed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal, NamedTuple

from chart_harness.waiting import until
from iot_system.client import IotClient
from iot_system.domain.commands import FINAL

from tests.contract.faults.behaviours import MARK, TALLY
from tests.contract.faults.figures import Figures
from tests.contract.faults.pods import Pods
from tests.contract.faults.sides import ByMqtt, ByRest, Side, by_mqtt
from tests.harness.processes import HOST

BEHAVIOURS = "tests.contract.faults.behaviours"
DEVICES = 6
ROOMS = 3
READINGS = 30
"""Messages of each device; the later ones only once the earlier are acknowledged."""
LANES, COMMANDS = 3, 4
"""Of each device: so many lanes at once, so many commands one after another in each."""
WRITERS = 2
"""Of each device's desired state, at once."""
PATCHES = 8
"""Of each writer."""
REPORTS = 20
"""Patches of the reported state, of each device with MQTT."""
LEVEL = "level"
ANSWER, CANCEL, EXPIRE = "answer", "cancel", "expire"
"""Names of commands, by how they shall end."""
ENDS = {CANCEL: "cancelled", EXPIRE: "expired"}
EXPIRES_AFTER_S = 0.5
LONG_S = 600.0
WAIT_S = 20.0
SETTLED_WITHIN_S = 120.0


class Given(NamedTuple):
    """A command, and how the device will answer it."""

    id: str
    name: str
    number: int
    answer: Literal["succeeded", "failed"]


class Device:
    """The device's own side, which outlives everything: what it has sent, and what it has done."""

    def __init__(self, id_: str, room: str, chance: random.Random) -> None:
        self.id = id_
        self.room = room
        self.side: Side
        self.reports = 0
        """Patches of the reported state that are durable."""
        self.wanted: tuple[int, dict[str, Any]] = (-1, {})
        """The newest desired state that the device has heard of, with its version."""
        self.levels = [chance.randint(1, 1_000_000) for _ in range(READINGS)]
        self.done: set[str] = set()
        self.commands = [
            Given(
                f"{id_}-c{number}",
                chance.choices((ANSWER, CANCEL, EXPIRE), weights=(4, 1, 1))[0],
                chance.randint(1, 1_000_000),
                chance.choice(("succeeded", "failed")),
            )
            for number in range(LANES * COMMANDS)
        ]
        self.ends: dict[str, dict[str, Any]] = {}
        self.accepted: Counter[str] = Counter()


class Workload:
    """`prepare`, `work` (``strike`` is called in its middle), `check`."""

    def __init__(self, pods: Pods, mqtt_ports: Sequence[int], *, name: str, seed: int) -> None:
        chance = random.Random(seed)
        self._pods = pods
        self._mqtt_ports = mqtt_ports
        self._name = name
        self._tally = f"{name}-tally"
        self._devices = [Device(f"{name}-d{number}", f"{name}-r{number % ROOMS}", chance) for number in range(DEVICES)]
        self._begin_ms = time.time_ns() // 1_000_000 - READINGS - 1
        steps = DEVICES * (READINGS + LANES * COMMANDS + WRITERS * PATCHES) + len(self._by_mqtt) * REPORTS
        self._strike_at = round(steps * chance.uniform(0.2, 0.6))
        self._steps = 0
        self._middle = asyncio.Event()
        self._told: dict[str, set[tuple[str, str]]] = defaultdict(set)
        """Command → ids of the events that told its end, and how it ended."""

    @property
    def _by_mqtt(self) -> list[Device]:
        """Every other device; the rest use REST."""
        return self._devices[::2]

    async def prepare(self, opened: AsyncExitStack) -> None:
        """Register everything, and connect the devices for as long as ``opened`` is."""
        behaviours = {self._tally: {"behaviour": f"{BEHAVIOURS}:Tally"}}
        for device in self._devices:
            labels = {TALLY: self._tally}
            behaviours[device.id] = {"behaviour": f"{BEHAVIOURS}:Teller", "room": device.room, "labels": labels}  # type: ignore[dict-item]
        for id_, registration in behaviours.items():
            registered = await self._pods.ask("POST", "/v1/devices", {"id": id_, **registration})
            assert registered.status_code in (201, 409), registered.text
        for device in self._devices:
            token = (await self._pods.ok("POST", f"/v1/devices/{device.id}/credentials"))["token"]
            device.side = ByRest(self._pods, device.id, token)
            if device in self._by_mqtt:
                port = self._mqtt_ports[self._devices.index(device) // 2 % len(self._mqtt_ports)]
                device.side = await opened.enter_async_context(by_mqtt((HOST, port), device.id, token))

    async def work(self, strike: Callable[[], None]) -> None:
        """Return when everything is acknowledged, and the system has got over the strike."""
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(one) for device in self._devices for one in self._work_of(device)]
            serving = [tasks.create_task(one) for device in self._devices for one in self._service_of(device)]
            await self._middle.wait()
            await asyncio.to_thread(strike)
            await asyncio.gather(*working)
            await until(self._have_heard, within_s=SETTLED_WITHIN_S, why="devices did not hear of their desired states")
            for task in serving:
                task.cancel()

    async def check(self) -> Figures:
        """Raises AssertionError where a count or a state is another than it must be."""
        for device in self._devices:
            await device.side.send(self._begin_ms + READINGS + 1, {MARK: 1})
        await self._settled()
        for device in self._devices:
            await self._check_commands(device)
            await self._check_twin(device)
            await self._check_history(device)
        for number in range(ROOMS):
            await self._check_room(f"{self._name}-r{number}")
        messages = await self._check_tally()
        await self._check_events()
        return Figures(
            readings=DEVICES * READINGS,
            commands=DEVICES * LANES * COMMANDS,
            patches=sum(device.accepted.total() + device.reports for device in self._devices),
            messages=messages,
            repeated=self._pods.lost,
        )

    async def listen(self, url: str, admin_token: str, ready: asyncio.Event) -> None:
        """Collect what the events tell of commands, until cancelled; ``ready`` once it has begun."""
        devices = [self._tally, *(device.id for device in self._devices)]
        async with (
            IotClient(url, admin_token) as iot,
            iot.events.listen(devices=devices, kinds=["command"]) as events,
        ):
            ready.set()
            async for event in events:
                assert event.kind == "command", f"events are missing: {event}"
                if event.data["status"] in FINAL:
                    self._told[event.data["id"]].add((event.id, event.data["status"]))

    def _work_of(self, device: Device) -> Iterator[Any]:
        yield self._send(device)
        yield from (self._give(device, device.commands[lane::LANES]) for lane in range(LANES))
        yield from (self._desire(device, f"writer-{number}") for number in range(WRITERS))
        if isinstance(device.side, ByMqtt):
            yield self._report(device, device.side)

    def _service_of(self, device: Device) -> Iterator[Any]:
        yield self._execute(device)
        if isinstance(device.side, ByMqtt):
            yield self._hear(device, device.side)

    def _step(self) -> None:
        self._steps += 1
        if self._steps >= self._strike_at:
            self._middle.set()

    async def _send(self, device: Device) -> None:
        for number, level in enumerate(device.levels):
            await device.side.send(self._begin_ms + number, {LEVEL: level})
            self._step()

    async def _report(self, device: Device, side: ByMqtt) -> None:
        for number in range(1, REPORTS + 1):
            await side.report({"number": number})
            device.reports = number
            self._step()

    async def _hear(self, device: Device, side: ByMqtt) -> None:
        async for wanted in side.desired():
            assert wanted[0] > device.wanted[0], "a desired state came after a newer one"
            device.wanted = wanted

    async def _give(self, device: Device, commands: list[Given]) -> None:
        """Give commands, each once the one before is over."""
        path = f"/v1/devices/{device.id}/commands"
        for given in commands:
            timeout_s = EXPIRES_AFTER_S if given.name == EXPIRE else LONG_S
            body = {"id": given.id, "name": given.name, "payload": {"number": given.number}, "timeout_s": timeout_s}
            found = await self._pods.ok("POST", path, body)
            if given.name == CANCEL:
                found = await self._pods.ok("DELETE", f"{path}/{given.id}")
            while found["status"] not in FINAL:
                found = await self._pods.ok("GET", f"{path}/{given.id}", wait_s=WAIT_S)
            device.ends[given.id] = found
            self._step()

    async def _execute(self, device: Device) -> None:
        """As the device: do each command once, and answer as often as it is needed."""
        by_id = {given.id: given for given in device.commands}
        async for taken in device.side.commands():
            given = by_id[taken.id]
            assert taken.payload == {"number": given.number}, taken
            if given.name == ANSWER:
                device.done.add(given.id)
                await device.side.answer(given.id, given.answer, {"done": given.number})

    async def _desire(self, device: Device, writer: str) -> None:
        """Change the desired state under its version, and find out what became of a change whose answer was lost."""
        path = f"/v1/devices/{device.id}/twin"
        for number in range(1, PATCHES + 1):
            while True:
                twin = await self._pods.ok("GET", path)
                if twin["desired"].get(writer) == number:
                    break  # the answer was lost, or told only that the version had moved on
                version = twin["version"]["desired"]
                patched = await self._pods.ask("PATCH", f"{path}/desired", {writer: number}, if_match=version)
                assert patched.status_code in (200, 412), patched.text
                if patched.status_code == 200:
                    break
            device.accepted[writer] += 1
            self._step()

    async def _settled(self) -> None:
        """Return when what was acknowledged is applied: marks go the same ways, so they arrive last."""

        async def have_come() -> bool:
            tally = await self._pods.ok("GET", f"/v1/devices/{self._tally}/twin")
            if len(tally["reported"].get(MARK, {})) < DEVICES:
                return False
            for room in {device.room for device in self._devices}:
                answer = await self._pods.ask("GET", f"/v1/rooms/{room}/twin")
                metrics = answer.json().get("metrics", {})
                if metrics.get(MARK, {}).get("count", 0) < DEVICES // ROOMS:
                    return False
            return True

        await until(have_come, within_s=SETTLED_WITHIN_S, why="acknowledged, but not applied")

    async def _check_commands(self, device: Device) -> None:
        listed = (await self._pods.ok("GET", f"/v1/devices/{device.id}/commands?limit=1000"))["items"]
        assert sorted(one["id"] for one in listed) == sorted(given.id for given in device.commands)
        found = {one["id"]: one for one in listed}
        assert found == device.ends, "a command changed after its end"
        for given in device.commands:
            expected = ENDS.get(given.name, given.answer)
            result = {"done": given.number} if given.name == ANSWER else None
            assert (found[given.id]["status"], found[given.id]["result"]) == (expected, result), found[given.id]
        assert device.done == {given.id for given in device.commands if given.name == ANSWER}

    def _have_heard(self) -> bool:
        """Whether the devices that can hear know of every change of their desired states."""
        return all(device.wanted == (WRITERS * PATCHES, dict(device.accepted)) for device in self._by_mqtt)

    async def _check_twin(self, device: Device) -> None:
        twin = await self._pods.ok("GET", f"/v1/devices/{device.id}/twin")
        assert device.accepted.total() == WRITERS * PATCHES
        assert twin["version"]["desired"] == device.accepted.total(), twin
        assert twin["desired"] == dict(device.accepted)
        assert twin["latest"][LEVEL]["value"] == device.levels[-1]
        assert twin["reported"] == ({"number": REPORTS} if device.reports else {})
        assert twin["version"]["reported"] == device.reports, twin

    async def _check_history(self, device: Device) -> None:
        page = await self._pods.ok("GET", f"/v1/devices/{device.id}/telemetry?metric={LEVEL}&order=asc&limit=1000")
        assert [(one["ts"], one["value"]) for one in page["items"]] == [
            (self._begin_ms + number, level) for number, level in enumerate(device.levels)
        ]

    async def _check_room(self, room: str) -> None:
        metrics = (await self._pods.ok("GET", f"/v1/rooms/{room}/twin"))["metrics"]
        levels = [level for device in self._devices if device.room == room for level in device.levels]
        found = metrics[LEVEL]
        assert (found["count"], found["min"], found["max"]) == (len(levels), min(levels), max(levels)), room
        assert round(found["avg"] * found["count"]) == sum(levels), room

    async def _check_tally(self) -> int:
        """Each message counted, none twice; returns how many there were."""
        twin = await self._pods.ok("GET", f"/v1/devices/{self._tally}/twin")
        expected = {LEVEL: _counted([level for device in self._devices for level in device.levels])}
        for name in (ANSWER, CANCEL, EXPIRE):
            numbers = [one.number for device in self._devices for one in device.commands if one.name == name]
            if numbers:
                expected[name] = _counted(numbers)
        expected |= {MARK: {device.id: 1 for device in self._devices}}
        assert twin["reported"] == expected, f"{self._tally} was told {twin['reported']} instead of {expected}"
        messages = sum(one.get("count", DEVICES) for one in expected.values())
        assert twin["version"]["reported"] == messages, f"{self._tally} has reported {twin['version']} times"
        return messages

    async def _check_events(self) -> None:
        """The end of each command was told once; of what was published again the broker knew that it had it."""
        last = f"{self._name}-last"
        await self._pods.ok("POST", f"/v1/devices/{self._tally}/commands", {"id": last, "name": "last"})
        await self._pods.ok("DELETE", f"/v1/devices/{self._tally}/commands/{last}")
        await until(lambda: last in self._told, within_s=SETTLED_WITHIN_S, why="the last event did not come")
        ends = {one["id"]: one["status"] for device in self._devices for one in device.ends.values()}
        assert self._told.keys() - {last} == ends.keys()
        for id_, status in ends.items():
            assert [told for _, told in self._told[id_]] == [status], f"{id_}: {self._told[id_]}"


def _counted(numbers: list[int]) -> dict[str, int]:
    return {"count": len(numbers), "sum": sum(numbers)}
