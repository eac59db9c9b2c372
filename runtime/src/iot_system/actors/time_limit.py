"""The time that a behaviour may take: a handler that never returns must not hold its shard.

A thread of its own looks now and then whether the same call is still running, and raises `TooLong` in it once it has
used up its time. So a call that ends in time costs a lock, and no switch of threads. Who had to be ended is not called
again for a while: the same mistake at each of a frame's readings would hold the shard for all their limits together.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

Result = TypeVar("Result")

LOOKS = 10
"""How often within the limit it is looked; so a call may take up to a fifth more."""
WAITING = 30
"""A call that does not compute but waits has so many times the limit, by the clock."""
AGAIN_S = 0.01
"""A call that catches what was raised in it gets it again so soon, and so on."""
PAUSE_S = 60.0
"""Who had to be ended is not called for so long, by the clock."""
REMEMBERED = 1000
"""Of more than so many who had to be ended, those of the longest ago are forgotten."""
_raise_in: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING: Final = ctypes.py_object()


class TooLong(BaseException):
    """A behaviour did not return. No `Exception`, so that one that goes on after every mistake does not go on."""

    def __init__(self, text: str = "it did not return in time") -> None:
        super().__init__(text)


class Paused(TooLong):
    """A behaviour is not called, because it did not return a moment ago."""


class TimeLimit:
    """Runs what may take ``limit_s`` seconds of processor time; ends what does not come back by itself.

    What runs in C and returns to Python late, like a regular expression that tries for ever, cannot be ended.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.pause_s = PAUSE_S
        self._call: tuple[int, object] | None = None  # the thread that it runs in, and whose; a new tuple for each
        self._ended_s: dict[object, float] = {}
        """Who had to be ended, and when, by the monotonic clock; who took what was raised for nothing, too."""
        self._raised_in: int | None = None
        self._lock = threading.Lock()
        """Held to look whether a call runs and to raise in it, so that nothing is raised for one that has ended."""
        self._watching: threading.Thread | None = None

    def run(self, work: Callable[[], Result], *, of: object) -> Result:
        """Return what ``work`` returns. Raises `TooLong`, and what ``work`` raises; once it is over, nothing more.

        Raises `Paused` at once where a call of the same ``of`` had to be ended within the last ``pause_s``.
        """
        if (ended_s := self._ended_s.get(of)) is not None and (left_s := ended_s + self.pause_s - time.monotonic()) > 0:
            raise Paused(f"it took too long a moment ago and is not called for the next {math.ceil(left_s)} s")
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, name="time-limit", daemon=True)
            self._watching.start()
        thread = threading.get_ident()
        try:
            self._call = (thread, of)
            return work()
        finally:
            # Between what was called and this assignment Python looks for nothing that others raise here; after it,
            # at most one is on its way. So whatever comes, it comes before the second line that settles.
            self._call = None
            try:
                self._settle(thread)
            except TooLong:
                self._settle(thread)

    def _settle(self, thread: int) -> None:
        with self._lock:
            if self._raised_in == thread:
                self._raised_in = None
                _raise_in(thread, _NOTHING)

    def _watch(self) -> None:
        while True:
            time.sleep(self.limit_s / LOOKS)
            if (call := self._call) is not None:
                self._watch_one(call)

    def _watch_one(self, call: tuple[int, object]) -> None:
        """Look until ``call`` is over. Looks are counted, not seconds: a process may stand still as a whole."""
        if (began_s := self._used_s(call)) is None:
            return
        used_s, looks = began_s, 0
        while used_s - began_s < self.limit_s and looks < LOOKS * WAITING:
            time.sleep(self.limit_s / LOOKS)
            if (now_s := self._used_s(call)) is None:
                return
            used_s, looks = now_s, looks + 1
        while self._raise(call):
            time.sleep(AGAIN_S)

    def _used_s(self, call: tuple[int, object]) -> float | None:
        """Processor time of the thread that ``call`` runs in; None once the call is over."""
        with self._lock:  # the thread cannot end meanwhile
            return time.clock_gettime(time.pthread_getcpuclockid(call[0])) if self._call is call else None

    def _raise(self, call: tuple[int, object]) -> bool:
        """False once the call is over."""
        with self._lock:
            if self._call is not call:
                return False
            self._ended_s.pop(call[1], None)
            self._ended_s[call[1]] = time.monotonic()
            if len(self._ended_s) > REMEMBERED:
                del self._ended_s[next(iter(self._ended_s))]
            self._raised_in = call[0]
            _raise_in(call[0], TooLong)
            return True


HANDLERS: Final = TimeLimit(1.0)
"""All calls of behaviours in this process."""
