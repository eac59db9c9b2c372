"""An event loop for many processes in one: a seed decides whose turn it is, and time jumps to the next timer.

Within a process everything runs in the order in which it became ready, as asyncio promises. Between processes there is
no order but that of the messages they exchange: at each step one of those that could run is drawn.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, TypeVar

from tests.simulation.processes import PROCESS, Process

T = TypeVar("T")


class Stuck(AssertionError):
    """Everybody waits for something that can never happen, or it does not come to an end."""


class SeededLoop(asyncio.BaseEventLoop):
    """Starts at 0 s. ``strike`` is called between two steps, before the step of number ``strike_at``."""

    def __init__(self, chance: random.Random, *, longest_s: float, most_steps: int) -> None:
        super().__init__()
        self.steps = 0
        self.strike_at = most_steps
        self.strike: Callable[[], None] = self._give_up
        self.unforeseen: list[dict[str, Any]] = []
        """What nobody caught."""
        self.nobody = Process("")
        self._chance = chance
        self._longest_s = longest_s
        self._most_steps = most_steps
        self._now_s = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._runnable: list[Process] = []
        self._graves: list[set[asyncio.Task[Any]]] = []
        self._is_over = False

    def time(self) -> float:
        return self._now_s

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` in ``process``."""
        return self.create_task(work, context=process.context.copy())

    def freeze(self, process: Process) -> None:
        """As SIGSTOP: what becomes ready waits, timers included."""
        process.is_frozen = True
        if process in self._runnable:
            self._runnable.remove(process)

    def thaw(self, process: Process) -> None:
        """As SIGCONT."""
        process.is_frozen = False
        if process.ready and process.runs:
            self._runnable.append(process)

    def kill(self, process: Process) -> None:
        """As SIGKILL: nothing of it runs any more, not even what cleans up."""
        process.is_dead = True
        process.ready.clear()
        if process in self._runnable:
            self._runnable.remove(process)
        self._graves.append(asyncio.all_tasks(self))  # who is collected would clean up after all

    def end(self) -> None:
        """Leave everything as it is: what is still torn down schedules nothing."""
        self._is_over = True
        self._timers.clear()
        self._graves.clear()
        self.close()

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self._make_ready(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """At once and in this thread: who calls it is a step of its own already."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._is_over and context.get("exception") is not None:
            self.unforeseen.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def _make_ready(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(PROCESS, self.nobody)  # type: ignore[attr-defined]
        if process.is_dead or self._is_over:
            return
        if not process.ready and not process.is_frozen:
            self._runnable.append(process)
        process.ready.append(handle)

    def _run_once(self) -> None:
        runnable = self._runnable
        if not runnable:
            self._pass_time()
            return
        at = int(self._chance.random() * len(runnable)) if len(runnable) > 1 else 0
        process = runnable[at]
        handle = process.ready.popleft()
        if not process.ready:
            runnable[at] = runnable[-1]
            runnable.pop()
        if handle.cancelled():
            return
        self.steps += 1
        handle._run()
        if self.steps >= self.strike_at:
            self.strike()

    def _pass_time(self) -> None:
        """Go to the next timer that concerns anybody."""
        timers = self._timers
        while timers:
            when, _, timer = heapq.heappop(timers)
            if timer.cancelled() or timer._context.get(PROCESS, self.nobody).is_dead:  # type: ignore[attr-defined]
                continue
            self._now_s = max(self._now_s, when)
            if self._now_s > self._longest_s:
                raise Stuck(f"it did not come to an end within {self._longest_s:g} simulated seconds")
            self._make_ready(timer)
            while timers and timers[0][0] <= self._now_s:
                _, _, timer = heapq.heappop(timers)
                if not timer.cancelled():
                    self._make_ready(timer)
            return
        raise Stuck("everybody waits for something that can never happen")

    def _give_up(self) -> None:
        raise Stuck(f"it did not come to an end within {self._most_steps} steps")
