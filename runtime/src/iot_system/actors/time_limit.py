"""The time that a behaviour may take: a handler that never returns must not hold its shard.

A thread of its own looks now and then whether the same call is still running, and raises `TooLong` in it once it has
used up its time. So a call that ends in time costs a lock, and no switch of threads.
"""

from __future__ import annotations

import ctypes
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
_raise_in: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)
_NOTHING: Final = ctypes.py_object()


class TooLong(BaseException):
    """A behaviour did not return. No `Exception`, so that one that goes on after every mistake does not go on."""

    def __str__(self) -> str:
        return "it did not return in time"


class TimeLimit:
    """Runs what may take ``limit_s`` seconds of processor time; ends what does not come back by itself.

    What runs in C and returns to Python late, like a regular expression that tries for ever, cannot be ended.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._call: tuple[int] | None = None  # the thread that it runs in; a new tuple for each
        self._raised_in: int | None = None
        self._lock = threading.Lock()
        """Held to look whether a call runs and to raise in it, so that nothing is raised for one that has ended."""
        self._watching: threading.Thread | None = None

    def run(self, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns. Raises `TooLong`, and what ``work`` raises; once it is over, nothing more."""
        if self._watching is None:
            self._watching = threading.Thread(target=self._watch, name="time-limit", daemon=True)
            self._watching.start()
        thread = threading.get_ident()
        try:
            self._call = (thread,)
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

    def _watch_one(self, call: tuple[int]) -> None:
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

    def _used_s(self, call: tuple[int]) -> float | None:
        """Processor time of the thread that ``call`` runs in; None once the call is over."""
        with self._lock:  # the thread cannot end meanwhile
            return time.clock_gettime(time.pthread_getcpuclockid(call[0])) if self._call is call else None

    def _raise(self, call: tuple[int]) -> bool:
        """False once the call is over."""
        with self._lock:
            if self._call is not call:
                return False
            self._raised_in = call[0]
            _raise_in(call[0], TooLong)
            return True


HANDLERS: Final = TimeLimit(1.0)
"""All calls of behaviours in this process."""
