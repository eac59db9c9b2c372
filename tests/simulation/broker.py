"""The broker of a simulation: JetStream's durable log, and request-reply, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from iot_system.ports.requests import Handler
from iot_system.ports.stream import ANSWER_S, StreamMessage

from tests.simulation.processes import Process
from tests.unit.services.memory_stream import MemoryReader, MemoryStream

DEDUPLICATION_WINDOW_S = 120.0
Listener = tuple[Process, Callable[..., None]]


class Log(MemoryStream):
    """Knows ids of messages again for as long as JetStream is told to, and no longer."""

    def __init__(self) -> None:
        super().__init__()
        self._ids_since: dict[str, float] = {}

    @property
    def last(self) -> int:
        """The sequence of the newest frame."""
        return self._sequence

    async def publish_bundle(self, frames: Mapping[int, bytes], *, message_id: str, answer_s: float = ANSWER_S) -> int:
        self._forget_old(message_id)
        return await super().publish_bundle(frames, message_id=message_id, answer_s=answer_s)

    async def publish_events(self, source: int, data: bytes, *, message_id: str) -> None:
        self._forget_old(message_id)
        await super().publish_events(source, data, message_id=message_id)

    async def behind(
        self, positions: Mapping[int, int], stream_id: str, limit: int
    ) -> tuple[list[StreamMessage], int, asyncio.Event]:
        """Messages behind ``positions``, how many wait behind them, and what is set once there are more."""
        await self.verify(stream_id, reached=max(positions.values()))
        reader = MemoryReader(self, positions, stream_id)
        found = reader._behind(limit)
        return found, len(reader._behind(len(self.log))) - len(found), self._grown

    def _forget_old(self, message_id: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._ids_since.setdefault(message_id, now_s) < now_s - DEDUPLICATION_WINDOW_S:
            self._ids_since[message_id] = now_s
            self._ids.pop(message_id, None)


class Broker:
    """``log`` is on disk, so it outlives everything; who ``serves`` what and who listens goes with its process."""

    def __init__(self) -> None:
        self.process = Process("broker")
        self.log = Log()
        self.serving: dict[int | None, dict[Process, Handler]] = {}
        self.listeners: dict[str, list[Listener]] = {}

    def serve(self, partition: int | None, process: Process, handler: Handler) -> None:
        """``process`` answers for ``partition``; None: for what anybody may answer."""
        self.serving.setdefault(partition, {})[process] = handler

    def unserve(self, partition: int | None, process: Process, handler: Handler) -> None:
        """No longer, if it is still this one."""
        if self.serving.get(partition, {}).get(process) is handler:
            del self.serving[partition][process]

    def listen(self, subject: str, process: Process, callback: Callable[..., None]) -> None:
        """Call ``callback`` in ``process`` with what is said on ``subject``."""
        self.listeners.setdefault(subject, []).append((process, callback))

    def forget(self, process: Process) -> None:
        """Its connection has ended."""
        for handlers in self.serving.values():
            handlers.pop(process, None)
        for subject, listeners in self.listeners.items():
            self.listeners[subject] = [one for one in listeners if one[0] is not process]
