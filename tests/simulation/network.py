"""Messages between processes: they take time, and the weather decides which are late or lost."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, TypeVar

import msgspec
from iot_system.errors import IotError, Unavailable

from tests.simulation.history import History
from tests.simulation.processes import Process

LEAST_LATE_S, MOST_LATE_S = 0.1, 10.0
RESET_S = 0.05
"""So soon one may learn that a connection is gone, instead of waiting for an answer."""
T = TypeVar("T")


class Weather(msgspec.Struct, frozen=True):
    """The chances of a message to be ``lost``, or ``late`` by up to `MOST_LATE_S`; others take up to ``hop_s``."""

    hop_s: float = 0.004
    lost: float = 0.0
    late: float = 0.0


class Network:
    """What a process in ``cut_off`` would get is lost. Until ``late_until_s`` something that is late may arrive."""

    def __init__(self, chance: random.Random, history: History) -> None:
        self.weather = Weather()
        self.cut_off: set[Process] = set()
        self.late_until_s = 0.0
        self.chance = chance
        self.history = history

    def carry(self, wire: Wire, to: Process, context: Context, what: str, deliver: Callable[[], object]) -> bool:
        """Call ``deliver`` in ``to``, some time later; False where the message is lost."""
        luck, delay_s = self.chance.random(), self.weather.hop_s * self.chance.random()
        if luck < self.weather.lost or to in self.cut_off:
            self.history.note("network", "loses {}", what)
            return False
        if luck < self.weather.lost + self.weather.late:
            delay_s = LEAST_LATE_S * (MOST_LATE_S / LEAST_LATE_S) ** self.chance.random()
            self.history.note("network", "delays {} by {:.3f} s", what, delay_s)
            self.late_until_s = max(self.late_until_s, asyncio.get_running_loop().time() + delay_s)
        loop = asyncio.get_running_loop()
        at_s = loop.time() + delay_s
        if wire.is_ordered:
            at_s = wire.last_s = max(at_s, wire.last_s)
            wire.under_way.append((what, deliver))
            loop.call_at(at_s, self._next_arrives, wire, to, context=context)
        else:
            loop.call_at(at_s, self._arrive, to, what, deliver, context=context)
        return True

    def _next_arrives(self, wire: Wire, to: Process) -> None:
        self._arrive(to, *wire.under_way.popleft())

    def _arrive(self, to: Process, what: str, deliver: Callable[[], object]) -> None:
        if to in self.cut_off:
            self.history.note("network", "loses {}", what)
        else:
            deliver()


class Wire:
    """One direction of a connection; an ordered one keeps the order of its messages."""

    def __init__(self, *, is_ordered: bool) -> None:
        self.is_ordered = is_ordered
        self.last_s = 0.0
        self.under_way: deque[tuple[str, Callable[[], object]]] = deque()


class Connection:
    """From ``client`` to ``server``."""

    def __init__(self, network: Network, client: Process, server: Process, *, is_ordered: bool = True) -> None:
        self._network = network
        self._client = client
        self._server = server
        self._there, self._back = Wire(is_ordered=is_ordered), Wire(is_ordered=is_ordered)

    def tell(self, what: str, deliver: Callable[[], object]) -> None:
        """Call ``deliver`` in the server, or never; nobody knows."""
        self._network.carry(self._there, self._server, self._server.context, what, deliver)

    async def call(self, what: str, work: Callable[[], Awaitable[T]], *, timeout_s: float, waits: bool = False) -> T:
        """Let the server do ``work``; what `waits` there, does so in a task of its own.

        Raises what it raises, and `Unavailable` where no answer came: then nobody knows whether it was done.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[T] = loop.create_future()
        asked = _Asked(self, what, answered, copy_context())
        arrive = partial(asked.do_in_task, work) if waits else partial(asked.do, work)
        if not self._network.carry(self._there, self._server, self._server.context, what, arrive):
            asked.lose()
        timer = loop.call_later(timeout_s, asked.give_up)
        try:
            return await answered
        finally:
            timer.cancel()

    def answer(self, asked: _Asked, result: Any, error: IotError | None) -> None:
        """Send it back."""
        settle = partial(_settle, asked.answered, result, error)
        if not self._network.carry(self._back, self._client, asked.context, f"the answer to {asked.what}", settle):
            asked.lose()

    def reset(self, asked: _Asked) -> None:
        """The client may learn at once that something was lost."""
        chance = self._network.chance
        if chance.random() < 0.5:
            after_s = RESET_S * chance.random()
            asyncio.get_running_loop().call_later(after_s, asked.give_up, context=asked.context)


class _Asked:
    """A call that somebody waits for."""

    def __init__(self, connection: Connection, what: str, answered: asyncio.Future[Any], context: Context) -> None:
        self.what = what
        self.answered = answered
        self.context = context
        self._connection = connection

    def do(self, work: Callable[[], Awaitable[Any]]) -> None:
        """In the server; ``work`` waits for nothing."""
        try:
            result = _at_once(work())
        except IotError as error:
            self._connection.answer(self, None, error)
        else:
            self._connection.answer(self, result, None)

    def do_in_task(self, work: Callable[[], Awaitable[Any]]) -> None:
        """In the server."""
        asyncio.get_running_loop().create_task(self._do(work))

    async def _do(self, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            result = await work()
        except IotError as error:
            self._connection.answer(self, None, error)
        else:
            self._connection.answer(self, result, None)

    def lose(self) -> None:
        """A message of it was lost."""
        self._connection.reset(self)

    def give_up(self) -> None:
        """In the client: no answer came."""
        _settle(self.answered, None, Unavailable(f"no answer to {self.what}"))


def _settle(answered: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answered.done():  # whoever waited has gone
        return
    if error is None:
        answered.set_result(result)
    else:
        answered.set_exception(error)
        answered.exception()  # heard already: whoever waited may have been killed, and nobody needs to be told of that


def _at_once(work: Awaitable[T]) -> T:
    """The result of what waits for nothing."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits; let it do so in a task")
