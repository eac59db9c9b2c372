"""Two devices that count, each on a shard of its own and its room on the other one: every number crosses over."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

import httpx
from chart_harness.waiting import until
from iot_system.adapters.nats.requests import ASK
from iot_system.domain.ids import partition_of

from tests.contract.faults.pods import ANSWER_S, Pods
from tests.harness.processes import HOST, PARTITIONS, SHARDS, Plant

METRIC = "n"
OWNER = f"{ASK}."
"""How a subject begins on which an owner is asked; the number of the partition follows."""
WITHIN_S = 120.0


def serving(plant: Plant) -> dict[str, set[int]]:
    """Shard → partitions whose questions it answers; who lives and believes to own them, as the broker sees it."""
    answer = httpx.get(f"http://{HOST}:{plant.broker.monitoring}/connz?subs=1", trust_env=False, verify=False)
    connections = answer.json()["connections"]
    found = {one["name"]: one.get("subscriptions_list", []) for one in connections if "name" in one}
    owned = {name: {int(one.removeprefix(OWNER)) for one in heard if _is_owner(one)} for name, heard in found.items()}
    return {name: partitions for name, partitions in owned.items() if partitions}


def _is_owner(subject: str) -> bool:
    return subject.removeprefix(OWNER).isdecimal()


class Meter:
    """Sends 1, 2, 3 …, each again with the same words until it is acknowledged.

    Those that are ``stamped`` bear a time, the others a number of their own, as devices without a clock do.
    """

    def __init__(self, id_: str, room: str, *, stamped: bool) -> None:
        self.id = id_
        self.room = room
        self.number = 0
        self.acknowledged = 0
        self._begin_ms = time.time_ns() // 1_000_000 if stamped else None

    @property
    def path(self) -> str:
        return f"/v1/devices/{self.id}"

    @property
    def partition(self) -> int:
        return partition_of(self.id, PARTITIONS)

    @property
    def words(self) -> dict[str, Any]:
        """Of the newest message."""
        mark = {"seq": self.number} if self._begin_ms is None else {"ts": self._begin_ms + self.number}
        return {**mark, "values": {METRIC: self.number}}

    def count(self) -> None:
        """Have a next message, unless the newest is still to be acknowledged."""
        if self.acknowledged == self.number:
            self.number += 1


class Meters:
    """`begin`, then send, `wrong` at the end."""

    def __init__(self, plant: Plant, pods: Pods, *, name: str) -> None:
        self.all: list[Meter] = []
        self._plant = plant
        self._pods = pods
        self._name = name

    async def begin(self) -> None:
        """Register them, once partitions are where they stay, and let each be heard of."""
        await until(self._are_balanced, within_s=WITHIN_S, why="the partitions are not distributed")
        first, second = sorted(serving(self._plant).items())
        for number, (own, other) in enumerate(((first, second), (second, first))):
            meter = Meter(self._id_in(own[1]), self._id_in(other[1]), stamped=bool(number))
            self.all.append(meter)
            registered = await self._pods.ask("POST", "/v1/devices", {"id": meter.id, "room": meter.room})
            assert registered.status_code in (201, 409), registered.text
        await self.send()
        await self.are_seen()

    async def send(self) -> None:
        """Each sends its newest message until it is acknowledged."""
        for meter in self.all:
            meter.count()
        await self.send_again()
        for meter in self.all:
            meter.acknowledged = meter.number

    async def send_again(self) -> None:
        """Each sends its newest message, as if it did not know that it is acknowledged."""
        for meter in self.all:
            await self._pods.ok("POST", f"{meter.path}/telemetry", meter.words)

    async def send_once(self, url: str) -> bool:
        """Each sends its newest message to one pod; returns whether all are acknowledged."""
        headers = {"Authorization": f"Bearer {self._plant.admin_token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=2 * ANSWER_S, trust_env=False) as client:
            for meter in self.all:
                meter.count()
                answer = await client.post(f"{meter.path}/telemetry", json=meter.words)
                if answer.status_code == 202:
                    meter.acknowledged = meter.number
        return all(meter.acknowledged == meter.number for meter in self.all)

    async def are_seen(self) -> None:
        """Return when the newest number of each is in its twin and has come to its room."""
        await until(self._have_come, within_s=WITHIN_S, why="acknowledged, but not applied")

    async def wrong(self) -> dict[str, list[str]]:
        """What is ``lost``, ``doubled`` or ``miscounted``; another message of each ends it, which comes last."""
        await self.send()
        await self.are_seen()
        found: dict[str, list[str]] = {"lost": [], "doubled": [], "miscounted": []}
        for meter in self.all:
            page = await self._pods.ok("GET", f"{meter.path}/telemetry?metric={METRIC}&limit=1000")
            rows = Counter(one["value"] for one in page["items"])
            numbers = range(1, meter.number + 1)
            found["lost"] += [f"{number} of {meter.id}" for number in numbers if number not in rows]
            found["doubled"] += [f"{number} of {meter.id}" for number, times in rows.items() if times > 1]
            if (count := (await self._in_room(meter))["count"]) != meter.number:
                found["miscounted"].append(f"{count} instead of {meter.number} of {meter.id}")
        return {kind: what for kind, what in found.items() if what}

    def _are_balanced(self) -> bool:
        owned = serving(self._plant).values()
        return sorted(map(len, owned)) == [PARTITIONS // SHARDS] * SHARDS and set().union(*owned) == {
            *range(PARTITIONS)
        }

    def _id_in(self, partitions: set[int]) -> str:
        ids = (f"{self._name}-{len(self.all)}-{number}" for number in itertools.count())
        return next(id_ for id_ in ids if partition_of(id_, PARTITIONS) in partitions)

    async def _have_come(self) -> bool:
        for meter in self.all:
            latest = (await self._pods.ok("GET", f"{meter.path}/twin"))["latest"].get(METRIC, {})
            room = await self._in_room(meter)
            if not latest.get("value") == room.get("max") == meter.number:
                return False
        return True

    async def _in_room(self, meter: Meter) -> dict[str, Any]:
        answer = await self._pods.ask("GET", f"/v1/rooms/{meter.room}/twin")
        found: dict[str, Any] = answer.json().get("metrics", {}).get(METRIC, {})
        return found
