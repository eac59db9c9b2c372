"""Devices that send until everything is acknowledged, over any gateway, and again what was not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal, get_args

import msgspec
from iot_system.domain.access import Principal
from iot_system.domain.readings import parse_telemetry
from iot_system.errors import IotError, Retry
from iot_system.services.gateway import ActorGateway

from tests.harness.ledger import Entry, Ledger
from tests.simulation.cluster import EPOCH_US, Cluster, Place
from tests.simulation.network import Connection
from tests.simulation.processes import Process

Sort = Literal["numbered", "timed", "named"]
"""What makes a message known again: its number within a boot, its time, or its id."""
METRICS = ("n", "temperature", "humidity")
IN_FLIGHT = 3
IMPATIENCE_S = 12.0
PAUSE_S = 1.0


class Message(msgspec.Struct, frozen=True):
    """The ``number``-th of its device, as JSON."""

    number: int
    body: dict[str, Any]

    def entries(self, device: str) -> list[Entry]:
        """As the ledger has them, by its number instead of the time, which a gateway may have stamped."""
        return [Entry(device, metric, self.number, value) for metric, value in self.body["values"].items()]


class Device:
    """Has so many ``messages`` to send, some of them twice."""

    def __init__(
        self, id_: str, sort: Sort, count: int, cluster: Cluster, ledger: Ledger, chance: random.Random
    ) -> None:
        self.id = id_
        self.process = Process(id_)
        self.orders: set[tuple[int, int]] = set()
        """Of each two the first must be applied first: it was acknowledged before the other one was sent, or both were
        sent and acknowledged at once, in this order, over one connection."""
        self._cluster = cluster
        self._history = cluster.network.history
        self._ledger = ledger
        self._chance = chance
        self._principal = Principal("device", id_)
        boots_after = chance.randint(1, count)
        self._messages = [message_of(sort, number, boots_after, chance) for number in range(1, count + 1)]
        self._in_flight = chance.randint(1, IN_FLIGHT)
        self._again = chance.choice([0.0, 0.2])
        self._sent: set[int] = set()
        self._acknowledged: set[int] = set()

    async def live(self) -> None:
        """Returns once all is acknowledged."""
        for boot in ("first", "second"):
            await self._live([one for one in self._messages if one.body.get("boot", "first") == boot])

    async def _live(self, messages: Sequence[Message]) -> None:
        waiting = list(messages)
        while waiting:
            place = self._chance.choice(self._cluster.gateways)
            connection = Connection(self._cluster.network, self.process, place.process)
            batches = self._next(waiting)
            fresh = [one.number for batch in batches for one in batch if one.number not in self._sent]
            self._sent.update(fresh)
            before = sorted(self._acknowledged)
            answers = await asyncio.gather(*[self._send(batch, place, connection) for batch in batches])
            now = set().union(*answers)
            self._acknowledged |= now
            self._note_orders(before, fresh, [number for number in fresh if number in now])
            waiting = [one for one in waiting if one.number not in now]
            known = [one for one in messages if one.number in self._acknowledged]
            if self._chance.random() < self._again and known:
                waiting.insert(0, self._chance.choice(known))
            await asyncio.sleep(self._chance.random() ** 3 * PAUSE_S)

    def _next(self, waiting: Sequence[Message]) -> list[list[Message]]:
        batches, start = [], 0
        for _ in range(self._in_flight):
            size = self._chance.randint(1, 3)
            if batch := list(waiting[start : start + size]):
                batches.append(batch)
            start += size
        return batches

    async def _send(self, batch: list[Message], place: Place[ActorGateway], connection: Connection) -> set[int]:
        """Returns the numbers of those that were acknowledged."""
        numbers = [one.number for one in batch]
        self._ledger.send(entry for one in batch for entry in one.entries(self.id))
        self._history.note(self.id, "sends {} to {}", numbers, place.name)
        try:
            outcomes = await connection.call(
                f"{self.id} {numbers}", partial(self._ingest, place, batch), timeout_s=IMPATIENCE_S, waits=True
            )
        except IotError as error:
            self._history.note(self.id, "hears of {}: {}", numbers, error)
            return set()
        for one, outcome in zip(batch, outcomes, strict=True):
            if outcome is None:
                self._ledger.acknowledge(one.entries(self.id))
            else:
                assert isinstance(outcome, Retry), f"{self.id} {one.number} was refused for good: {outcome}"
        acknowledged = {one.number for one, outcome in zip(batch, outcomes, strict=True) if outcome is None}
        self._history.note(self.id, "is acknowledged {} of {}", sorted(acknowledged), numbers)
        return acknowledged

    async def _ingest(self, place: Place[ActorGateway], batch: list[Message]) -> list[Exception | None]:
        """In the gateway, as its adapters of protocols do."""
        gateway = place.current
        if gateway is None:
            raise Retry(f"{place.name} is only starting")
        messages = [parse_telemetry(self.id, one.body, now_us=gateway.now_us()) for one in batch]
        return await gateway.ingest(self._principal, messages)

    def _note_orders(self, before: Sequence[int], fresh: Sequence[int], at_once: Sequence[int]) -> None:
        self.orders.update((one, other) for one in before for other in fresh)
        self.orders.update(pairwise(at_once))


def message_of(sort: Sort, number: int, boots_after: int, chance: random.Random) -> Message:
    """What bears no time is stamped by each gateway that it comes to: then nothing but its number knows it again.

    Numbers begin anew with each boot; a device boots again once all before is acknowledged.
    """
    values: dict[str, Any] = {"n": number}
    for metric in METRICS[1:]:
        if chance.random() < 0.5:
            values[metric] = number * 1000 + chance.randint(0, 999)
    if sort == "numbered":
        boot, seq = ("first", number) if number <= boots_after else ("second", number - boots_after)
        return Message(number, {"values": values, "seq": seq, "boot": boot})
    if sort == "named":
        return Message(number, {"values": values, "id": f"m{number}"})
    late = chance.choice([0, 0, 0, 2500])
    return Message(number, {"ts": EPOCH_US // 1000 - 60_000 + number * 1000 - late, "values": values})


SORTS: tuple[Sort, ...] = get_args(Sort)
