"""What devices say, on its way into the stream: may they, where does it belong, and is it durable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import cast

from prometheus_client import Counter

from iot_system.domain.access import Principal
from iot_system.domain.ids import partition_of
from iot_system.domain.permissions import check_speaks
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import DeviceAccess
from iot_system.domain.signals import CommandDelivered, DesiredDelivered, Disconnected, Signal
from iot_system.errors import Forbidden, IotError, Retry
from iot_system.ports.stream import Stream
from iot_system.services.bundling import Bundling
from iot_system.services.directory import Directory
from iot_system.services.writer import PartitionWriter, Room

MESSAGES = Counter("iot_gateway_messages_total", "Telemetry messages and signals made durable")
FRAMES = Counter("iot_gateway_frames_total", "Frames published")
_CONFIRMING = (CommandDelivered, DesiredDelivered)
"""What the device says next mostly answers what it has got: one frame for both is one turn and one commit."""
DISABLED = "device {id!r} is disabled"


class Intake:
    """See `iot_system.ports.gateway.Gateway.ingest`."""

    def __init__(self, stream: Stream, directory: Directory, *, partitions: int) -> None:
        bundling, room = Bundling(stream), Room()
        self._directory = directory
        self._writers = [PartitionWriter(number, bundling, _count, room) for number in range(partitions)]

    async def ingest(self, principal: Principal, messages: Sequence[Telemetry | Signal]) -> list[Exception | None]:
        """See `iot_system.ports.gateway.Gateway.ingest`."""
        batch = _Batch(principal, messages)
        by_device: dict[str, list[int]] = {}
        for index, message in enumerate(messages):
            by_device.setdefault(message.device, []).append(index)
        to_writer: dict[PartitionWriter, list[int]] = {}
        to_look_up: list[str] = []
        for id_, indexes in by_device.items():
            hit, access = self._directory.cached(id_)
            if not hit:
                to_look_up.append(id_)
            elif problem := batch.why_not(id_, access, indexes):
                batch.refuse(indexes, problem)
            else:
                to_writer.setdefault(self._writer_of(id_), []).extend(indexes)
        # All that is known is queued before the first await, the rest as its look-ups end: so calls keep their order.
        for writer, indexes in to_writer.items():
            batch.put(writer, sorted(indexes))
        looked_up = self._directory.look_up(to_look_up)
        for id_, future in looked_up.items():
            future.add_done_callback(partial(batch.put_if_known, id_, by_device[id_], self._writer_of(id_)))
        if looked_up:
            await asyncio.wait(looked_up.values())
        results = await batch.results()
        if results and all(isinstance(problem, Retry) for problem in results):
            raise cast("Retry", results[0])
        return results

    async def drain(self) -> None:
        """Return when all that was accepted is durable or refused."""
        await asyncio.gather(*(writer.drain() for writer in self._writers))

    def _writer_of(self, id_: str) -> PartitionWriter:
        return self._writers[partition_of(id_, len(self._writers))]


class _Batch:
    """One call of `Intake.ingest`: what waits to become durable, and what was refused, by index."""

    def __init__(self, principal: Principal, messages: Sequence[Telemetry | Signal]) -> None:
        self._principal = principal
        self._messages = messages
        self._has_signals = any(type(message) is not Telemetry for message in messages)
        self._results: list[Exception | None] = [None] * len(messages)
        self._waiting: list[tuple[list[int], asyncio.Future[IotError | None]]] = []

    def why_not(self, id_: str, access: DeviceAccess | None, indexes: Iterable[int]) -> IotError | None:
        """A device that was disabled may still leave."""
        device = access.device if access else None
        try:
            check_speaks(self._principal, id_, device)
        except IotError as problem:
            return problem
        if device is not None and device.enabled:
            return None
        leaves = all(type(self._messages[index]) is Disconnected for index in indexes)
        return None if leaves else Forbidden(DISABLED.format(id=id_))

    def refuse(self, indexes: Iterable[int], problem: Exception) -> None:
        for index in indexes:
            self._results[index] = problem

    def put(self, writer: PartitionWriter, indexes: list[int]) -> None:
        """Queue in this order; telemetry and signals never share a frame."""
        runs = [list(run) for _, run in groupby(indexes, self._is_telemetry)] if self._has_signals else [indexes]
        for number, run in enumerate(runs):
            messages = [self._messages[index] for index in run]
            may_wait = self._has_signals and all(isinstance(message, _CONFIRMING) for message in messages)
            try:
                self._waiting.append((run, writer.put(messages, may_wait=may_wait)))  # type: ignore[arg-type]  # all of one sort
            except IotError as problem:
                # Nor what follows: it must not overtake.
                for refused in runs[number:]:
                    self.refuse(refused, problem)
                return

    def put_if_known(
        self, id_: str, indexes: list[int], writer: PartitionWriter, look_up: asyncio.Future[DeviceAccess | None]
    ) -> None:
        problem = look_up.exception() or self.why_not(id_, look_up.result(), indexes)
        if isinstance(problem, Exception):
            self.refuse(indexes, problem)
        else:
            self.put(writer, indexes)

    async def results(self) -> list[Exception | None]:
        for indexes, stored in self._waiting:
            if problem := await stored:
                self.refuse(indexes, problem)
        return self._results

    def _is_telemetry(self, index: int) -> bool:
        return type(self._messages[index]) is Telemetry


def _count(messages: int) -> None:
    FRAMES.inc()
    MESSAGES.inc(messages)
