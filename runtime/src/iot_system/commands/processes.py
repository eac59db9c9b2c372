"""Child processes of a foreground command: each in a process group of its own, none of them left at the end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from iot_system.errors import Unavailable

STOP_WAIT_S = 10.0
POLL_S = 0.02
TAIL_BYTES = 4000
TAIL_LINES = 15
_PR_SET_CHILD_SUBREAPER = 36


class Child:
    """A running program; what it writes goes to the file ``log``."""

    def __init__(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                env=environment,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self.exit_code is not None

    def check(self) -> None:
        """Raises `Unavailable` with the end of its log where it has ended."""
        if self.has_ended:
            raise Unavailable(f"{self.name} ended with exit code {self.exit_code}; {self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
        return "the end of its log:\n" + "\n".join(f"  | {line}" for line in lines or ["(empty)"])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def terminate(self) -> None:
        """Ask the program itself to end; it ends its own children."""
        if not self.has_ended:
            self._process.terminate()


class Children:
    """What was started, and whatever that started in turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []
        self._hurry = asyncio.Event()
        adopt_orphans()

    def start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> Child:
        """Start a program."""
        child = Child(name, command, environment, self._folder / f"{name}.log")
        self._children.append(child)
        return child

    async def run(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Run a program to its end. Raises `Unavailable` with the end of its log where it fails."""
        child = Child(name, command, environment, self._folder / f"{name}.log")
        while not child.has_ended:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(POLL_S)
        if child.exit_code:
            child.check()

    def check(self) -> None:
        """Raises `Unavailable` where one has ended."""
        for child in self._children:
            child.check()

    def hurry(self) -> None:
        """Let `stop` wait for nobody any more."""
        self._hurry.set()

    async def stop(self) -> None:
        """Ask all to end, the first one (the others need it) last; then kill what is left."""
        for group in (self._children[1:], self._children[:1]):
            for child in group:
                child.terminate()
            deadline_s = time.monotonic() + STOP_WAIT_S
            while not all(child.has_ended for child in group) and time.monotonic() < deadline_s:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._hurry.wait()
                        break
        for child in self._children:
            child.signal(signal.SIGKILL)
        for _ in range(round(STOP_WAIT_S / POLL_S)):
            if not kill_descendants():
                return
            await asyncio.sleep(POLL_S)


def kill_descendants() -> bool:
    """Kill every process below this one and take leave of those that are dead; returns whether there were any."""
    left = descendants(os.getpid())
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    return bool(left)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own (Linux), so that none escapes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(of: int) -> list[int]:
    """Ids of all processes below ``of``, zombies included; empty where there is no ``/proc``."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything; state and parent follow it.
            parent = int(entry.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found = children.get(of, [])
    for pid in found:  # grows meanwhile
        found += children.get(pid, [])
    return found
