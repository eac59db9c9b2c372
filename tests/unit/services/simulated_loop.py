"""An event loop whose clock jumps: time passes only when nothing else can happen, so waiting costs nothing.

Services wait with `asyncio.sleep` and `asyncio.timeout`; here a wait of 15 s is over at once, in the same order each
time. A test that waits for what can never happen fails at once instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")
LONGEST_S = 3600.0
"""Simulated time after which a test counts as one that never ends."""


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would wait for its next timer, lets the clock jump there."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits for something that can never happen")
        if timeout > 0:
            self.now_s += timeout
            assert self.now_s < LONGEST_S, f"nothing came to an end within {LONGEST_S:g} simulated seconds"
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def stand_still(self, seconds: float) -> None:
        """As a handler that takes so long: time passes, and nothing else happens."""
        self._jumping.now_s += seconds

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """At once, in this thread: a database takes no simulated time. Its answer comes a moment later all the same."""
        future: asyncio.Future[T] = self.create_future()
        try:
            self.call_soon(_settle, future, func(*args), None)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self.call_soon(_settle, future, None, error)
        return future


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class SimulatedClock:
    """Implements `iot_system.ports.clock.Clock` by the running loop's time."""

    EPOCH_US = 1_700_000_000_000_000

    def __init__(self) -> None:
        self._last_us = 0

    def now_us(self) -> int:
        now_us = self.EPOCH_US + int(asyncio.get_running_loop().time() * 1e6)
        self._last_us = max(self._last_us + 1, now_us)
        return self._last_us

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` to its end on a fresh loop: for examples of property tests, which must not share one."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)
