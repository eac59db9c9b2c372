"""What a process has of the broker: implements the ports of streams, of events and of requests over a network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from iot_system.errors import Unavailable
from iot_system.ports.requests import Handler
from iot_system.ports.stream import ANSWER_S, StreamMessage

from tests.simulation.broker import Broker
from tests.simulation.network import Connection, Network, Wire
from tests.simulation.processes import Process
from tests.simulation.wording import frame_words
from tests.unit.services.memory_log import MemoryLog, MemoryLogReader

ANSWER_TIMEOUT_S = 5.0
RETRY_S = 0.05
"""As the adapter of NATS has them."""
T = TypeVar("T")


class BrokerClient:
    """One connection of ``process`` to the broker."""

    def __init__(self, network: Network, broker: Broker, process: Process) -> None:
        self.stream = SimulatedStream(network, broker, process)
        self.requests = SimulatedRequests(network, broker, process)
        self.events = SimulatedLog(network, broker, process, broker.log.events)
        self.readings = SimulatedLog(network, broker, process, broker.log.readings)


class SimulatedStream:
    """Implements `iot_system.ports.stream.Stream`."""

    def __init__(self, network: Network, broker: Broker, process: Process) -> None:
        self._log = broker.log
        self._name = process.name
        self._history = network.history
        self._connection = Connection(network, process, broker.process)

    @property
    def frame_limit(self) -> int:
        return self._log.frame_limit

    async def publish(self, partition: int, data: bytes, *, message_id: str, answer_s: float = ANSWER_S) -> int:
        return await self.publish_bundle({partition: data}, message_id=message_id, answer_s=answer_s)

    async def publish_bundle(self, frames: Mapping[int, bytes], *, message_id: str, answer_s: float = ANSWER_S) -> int:
        async def store() -> int:
            last = self._log.last
            sequence = await self._log.publish_bundle(frames, message_id=message_id)
            said = "stores" if sequence > last else "has already"
            self._history.note("broker", "{} {} of {}: {}", said, sequence, self._name, partial(_words, frames))
            return sequence

        return await self._call(f"a publish of {self._name}", store, timeout_s=answer_s)

    async def publish_events(self, source: int, data: bytes, *, message_id: str) -> None:
        store = partial(self._log.publish_events, source, data, message_id=message_id)
        await self._call(f"events of {self._name}", store, timeout_s=ANSWER_S)

    async def publish_readings(self, source: int, data: bytes) -> None:
        self._connection.tell("readings", lambda: self._log.readings.append(data))

    def read(self, positions: Mapping[int, int], *, stream_id: str) -> SimulatedReader:
        return SimulatedReader(self, positions, stream_id)

    async def verify(self, stream_id: str, *, reached: int) -> None:
        await self._call("verify", lambda: self._log.verify(stream_id, reached=reached))

    async def follow(self, stream_id: str, *, reached: int) -> str:
        return await self._call("follow", lambda: self._log.follow(stream_id, reached=reached))

    async def trim(self, applied: Mapping[int, int], *, stream_id: str) -> None:
        await self._call("trim", lambda: self._log.trim(applied, stream_id=stream_id))

    async def behind(
        self, positions: Mapping[int, int], stream_id: str, limit: int
    ) -> tuple[list[StreamMessage], int, asyncio.Event]:
        """See `tests.simulation.broker.Log.behind`."""
        return await self._call(f"a fetch of {self._name}", lambda: self._log.behind(positions, stream_id, limit))

    async def _call(self, what: str, work: Callable[[], Awaitable[T]], *, timeout_s: float = ANSWER_TIMEOUT_S) -> T:
        return await self._connection.call(what, work, timeout_s=timeout_s)


class SimulatedReader:
    """Implements `iot_system.ports.stream.Reader`: the positions are here, so nothing is lost with an answer."""

    def __init__(self, stream: SimulatedStream, positions: Mapping[int, int], stream_id: str) -> None:
        self._stream = stream
        self._positions = dict(positions)
        self._stream_id = stream_id
        self.pending = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def fetch(self, limit: int, *, wait_s: float) -> list[StreamMessage]:
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    found, self.pending, more = await self._stream.behind(self._positions, self._stream_id, limit)
                    if found:
                        break
                    await more.wait()
        except TimeoutError:
            return []
        for message in found:
            self._positions[message.partition] = message.sequence
        return found


class SimulatedLog:
    """Implements `iot_system.ports.events.Log`."""

    def __init__(self, network: Network, broker: Broker, process: Process, log: MemoryLog) -> None:
        self._network = network
        self._process = process
        self._connection = Connection(network, process, broker.process)
        self._log = log

    async def end(self) -> int:
        return await self._connection.call("the end of a log", self._log.end, timeout_s=ANSWER_TIMEOUT_S)

    async def reaches(self, position: int) -> bool:
        return position <= await self.end()

    def read(self, after: int) -> MemoryLogReader:
        return self._log.read(after)

    async def overhear(self, partition: int, take: Callable[[bytes], None]) -> Callable[[], Awaitable[None]]:
        wire, process = Wire(is_ordered=True), self._process

        def pass_on(data: bytes) -> None:
            self._network.carry(wire, process, process.context, "an event", partial(take, data))

        return await self._log.overhear(partition, pass_on)


class SimulatedRequests:
    """Implements `iot_system.ports.requests.Requests`, as core NATS does: nothing is kept for who is not there."""

    def __init__(self, network: Network, broker: Broker, process: Process) -> None:
        self._network = network
        self._broker = broker
        self._process = process
        self._connection = Connection(network, process, broker.process)
        self._mine: dict[int | None, Handler] = {}
        self._wires: dict[Process, Wire] = {}

    async def ask(self, partition: int | None, data: bytes, *, timeout_s: float) -> bytes:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while True:
            question = _Question(self._network, self._process, self._broker, partition, data)
            self._connection.tell(f"a question of {self._process.name}", question.pass_on)
            try:
                async with asyncio.timeout_at(deadline_s):
                    answer = await question.answered
            except TimeoutError:
                raise Unavailable(f"the actor system did not answer within {timeout_s:g} s") from None
            if answer is not None:
                return answer
            if loop.time() + RETRY_S > deadline_s:
                raise Unavailable(f"nobody owns partition {partition} at present")
            await asyncio.sleep(RETRY_S)

    async def serve(self, partition: int | None, handler: Handler) -> None:
        if partition in self._mine:
            return

        async def serve() -> None:
            if self._mine.get(partition) is handler:
                self._broker.serve(partition, self._process, handler)

        self._mine[partition] = handler
        try:
            await self._connection.call("a subscription", serve, timeout_s=ANSWER_S)
        except BaseException:
            await self.unserve(partition)
            raise

    async def unserve(self, partition: int | None) -> None:
        if (handler := self._mine.pop(partition, None)) is not None:
            self._broker.unserve(partition, self._process, handler)

    async def tell(self, gateway: str, data: bytes) -> None:
        self._say(f"to {gateway}", data)

    async def on_told(self, gateway: str, callback: Callable[[bytes], None]) -> None:
        await self._hear(f"to {gateway}", callback)

    async def alive(self, gateway: str) -> None:
        self._say("alive", gateway)

    async def on_alive(self, callback: Callable[[str], None]) -> None:
        await self._hear("alive", callback)

    async def listening(self) -> None:
        self._say("listening")

    async def on_listening(self, callback: Callable[[], None]) -> None:
        await self._hear("listening", callback)

    async def announce(self, device: str) -> None:
        self._say("changed", device)

    async def on_announcement(self, callback: Callable[[str], None]) -> None:
        await self._hear("changed", callback)

    def _say(self, subject: str, *words: Any) -> None:
        def pass_on() -> None:
            for process, callback in self._broker.listeners.get(subject, ()):
                wire = self._wires.setdefault(process, Wire(is_ordered=True))
                self._network.carry(wire, process, process.context, f"{subject!r}", partial(callback, *words))

        self._connection.tell(f"{subject!r} of {self._process.name}", pass_on)

    async def _hear(self, subject: str, callback: Callable[..., None]) -> None:
        async def listen() -> None:
            self._broker.listen(subject, self._process, callback)

        await self._connection.call("a subscription", listen, timeout_s=ANSWER_S)


class _Question:
    """On its way through the broker to all who may answer; the first answer counts. None: there is nobody."""

    def __init__(self, network: Network, asker: Process, broker: Broker, partition: int | None, data: bytes) -> None:
        self.answered: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._network = network
        self._asker = asker
        self._broker = broker
        self._partition = partition
        self._data = data

    def pass_on(self) -> None:
        """In the broker."""
        handlers = list(self._broker.serving.get(self._partition, {}).items())
        if not handlers:
            self._answer(None)
            return
        if self._partition is None:
            handlers = [self._network.chance.choice(handlers)]
        for process, handler in handlers:
            self._carry(process, f"a question to {process.name}", partial(self._put, handler))

    def _put(self, handler: Handler) -> None:
        """In the process that answers."""
        asyncio.get_running_loop().create_task(self._handle(handler))

    async def _handle(self, handler: Handler) -> None:
        if (answer := await handler(self._data)) is not None:
            self._answer(answer)

    def _answer(self, answer: bytes | None) -> None:
        self._carry(self._asker, f"an answer to {self._asker.name}", partial(self._settle, answer))

    def _settle(self, answer: bytes | None) -> None:
        if not self.answered.done():
            self.answered.set_result(answer)

    def _carry(self, to: Process, what: str, deliver: Callable[[], object]) -> None:
        self._network.carry(Wire(is_ordered=False), to, to.context, what, deliver)


def _words(frames: Mapping[int, bytes]) -> str:
    """Frames as a person reads them."""
    return "; ".join(f"partition {partition}: {frame_words(data)}" for partition, data in frames.items())
