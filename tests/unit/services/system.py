"""Shards over one database, one broker and a gateway, all in memory, and their deaths."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chart_harness.waiting import until
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.domain.frames import ActorFrame, RoomReadings, decode_frame
from iot_system.domain.history import HistoryQuery
from iot_system.domain.ids import partition_of
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Device
from iot_system.domain.twin import RoomState
from iot_system.ports.gateway import Imported, Principal
from iot_system.services.asking import Asking
from iot_system.services.gateway import ActorGateway
from iot_system.services.shard import Shard

from tests.unit.services.lifeline import Lifeline
from tests.unit.services.memory_requests import MemoryRequests, Switchboard
from tests.unit.services.memory_stream import MemoryStream
from tests.unit.services.simulated_loop import SimulatedClock

PARTITIONS = 4
ALL = range(PARTITIONS)
ADMIN = Principal("admin", "admin")
DEADLINE_S = 120.0


class Process:
    """One shard with connections of its own."""

    def __init__(self, name: str, system: System, *, passivate_after_s: float) -> None:
        self.line = Lifeline()
        self._requests = MemoryRequests(system.board)
        self.shard = Shard(
            name=name,
            node="node",
            store=self.line.through(system.store),
            stream=self.line.through(system.stream),
            requests=self.line.through(self._requests),
            clock=SimulatedClock(),
            partitions=PARTITIONS,
            stream_id=system.stream_id,
            passivate_after_s=passivate_after_s,
        )

    def kill(self) -> None:
        """As SIGKILL: nothing is handed over, and nothing it was about to do happens."""
        self.line.cut()
        self._requests.vanish()

    async def owns(self, *partitions: int) -> bool:
        """Whether it believes to own exactly these."""
        return set((await self.shard.status()).owned) == set(partitions)


class System:
    """``store``, ``stream`` and ``gateway`` live on, processes come and go; ``asking`` asks as the gateway does.

    ``requests`` are the gateway's.
    """

    def __init__(self) -> None:
        self.store = SqliteStore(":memory:")
        self.stream = MemoryStream()
        self.stream_id = "first"
        self.board = Switchboard()
        self.requests = MemoryRequests(self.board)
        self.gateway = ActorGateway(
            self.stream,
            self.requests,
            SimulatedClock(),
            events=self.stream.events,
            readings=self.stream.readings,
            partitions=PARTITIONS,
            admin_token=None,
        )
        self.asking = Asking(MemoryRequests(self.board), PARTITIONS)
        self.processes: list[Process] = []

    async def process(self, name: str, partitions: Sequence[int] = (), *, passivate_after_s: float = 300.0) -> Process:
        """Start one that owns ``partitions``."""
        process = Process(name, self, passivate_after_s=passivate_after_s)
        self.processes.append(process)
        await process.shard.start()
        await process.shard.claim(partitions)
        return process

    async def register(self, *ids: str, room: str | None = None) -> None:
        imported = await self.gateway.import_devices([Device(id=id_, room=room) for id_ in ids])
        assert imported == Imported([], {}), imported.refused

    async def say(self, device: str, *times: int) -> None:
        """A reading ``t`` at each time, its value the time; returns when they are durable."""
        assert await self.gateway.ingest(ADMIN, said(device, *times)) == [None] * len(times)

    async def history(self, device: str) -> list[int]:
        readings = (await self.store.readings(HistoryQuery(device=device, limit=100_000))).items
        assert all(one.value == one.time_us for one in readings)
        return [one.time_us for one in readings]

    async def room(self, id_: str) -> RoomState:
        found = await self.store.load_rooms([id_])
        return found[id_][1] if id_ in found else RoomState()

    async def count(self, room: str) -> int:
        """How many readings the room has taken in."""
        metric = (await self.room(room)).metrics.get("t")
        return metric.count if metric else 0

    async def counted(self, room: str, count: int) -> None:
        """Return when the room has taken in so many readings."""

        async def is_so() -> bool:
            return await self.count(room) >= count

        await until(is_so, within_s=DEADLINE_S, why=f"room {room} has not {count} readings")
        assert await self.count(room) == count

    async def settled(self) -> None:
        """Return when every frame, those between actors included, is applied."""
        await until(self._is_settled, within_s=DEADLINE_S, why="frames wait still")

    def _is_settled(self) -> bool:
        alive = [process.shard for process in self.processes if not process.line.is_cut]
        is_published = not any(lane for shard in alive for lane in shard._outbox._lanes.values())
        applied = {number: one.applied for shard in alive for number, one in shard.owned.items()}
        newest = {one.partition: one.sequence for one in self.stream.log}
        return is_published and all(applied.get(number, 0) >= last for number, last in newest.items())

    def between_actors(self) -> list[tuple[int, int]]:
        """(source, number) of all frames between actors that brought readings to the stream, in their order."""
        frames = [decode_frame(one.data) for one in self.stream.ever]
        between = [frame for frame in frames if isinstance(frame, ActorFrame)]
        return [(one.source, one.number) for one in between if isinstance(one.messages[0], RoomReadings)]


@asynccontextmanager
async def running() -> AsyncIterator[System]:
    """A system without processes; stops those that were started."""
    system = System()
    await system.store.start()
    await system.gateway.start()
    try:
        yield system
    finally:
        for process in system.processes:
            process.line.is_cut = False  # so that the dead can be buried
            await process.shard.stop()
        await system.store.stop()


def said(device: str, *times: int) -> list[Telemetry]:
    """A reading ``t`` at each time, its value the time."""
    return [Telemetry(device, time_us, {"t": time_us}) for time_us in times]


def ids_of(partition: int, prefix: str = "d") -> list[str]:
    """Ids that belong to ``partition``."""
    return [id_ for number in range(200) if partition_of(id_ := f"{prefix}{number}", PARTITIONS) == partition]
