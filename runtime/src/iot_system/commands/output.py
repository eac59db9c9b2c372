"""What a command tells a person: lines, steps with their time, and progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


def say(text: str) -> None:
    """Write a line on standard output at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(command: str, why: object) -> None:
    """Write on standard error why ``iot-system COMMAND`` cannot do it."""
    sys.stderr.write(f"iot-system {command}: {why}\n")


@contextmanager
def step(what: str) -> Iterator[None]:
    """Tell what was done when it is, and how long it took."""
    began_s = time.monotonic()
    yield
    say(f"  {what:<58} {time.monotonic() - began_s:5.1f} s")


class Progress:
    """A bar on a terminal; elsewhere a line for every tenth of ``total``."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._told = -1
        self._stack = ExitStack()
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        if sys.stdout.isatty():
            columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = self._stack.enter_context(Bar(*columns))
            self._bar.add_task(self._what, total=self._total)
        self.advance(0)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def advance(self, count: int) -> None:
        """``count`` more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)
        elif (tenth := self._done * 10 // max(1, self._total)) > self._told:
            self._told = tenth
            say(f"  {self._what}: {self._done:,} of {self._total:,}")
