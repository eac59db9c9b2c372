"""One line per step: what is done, and how long it took."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEARTBEAT_S = 30.0
LONGEST = 120


class Step:
    """A step that is under way; `detail` is the latest thing heard of it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self.started = time.monotonic()

    def tell(self, line: str) -> None:
        """Note a line of output of what is running."""
        self.detail = line.strip() or self.detail

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Print the title with its time when the block ends; until then a running line, or a sign of life each 30 s."""
    current = Step(title)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(current, done), daemon=True)
    watcher.start()
    sign = "✗"
    try:
        yield current
        sign = "✓"
    finally:
        done.set()
        watcher.join()
        _line(f"{sign} {title}  {current.elapsed_s:.1f} s")


def note(text: str) -> None:
    """A line that is no step."""
    _line(f"· {text}")


def _line(text: str) -> None:
    clear = "\r\x1b[K" if sys.stdout.isatty() else ""
    print(f"{clear}{text}", flush=True)


def _watch(current: Step, done: threading.Event) -> None:
    terminal = sys.stdout.isatty()
    while not done.wait(0.5 if terminal else HEARTBEAT_S):
        text = f"… {current.title}  {current.elapsed_s:.0f} s  {current.detail}"
        if terminal:
            print(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        else:
            print(text[:LONGEST], flush=True)
