"""A load as its parent sees it: a process that sends, and a file that tells what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Self

import msgspec

from tests.harness.load.log import LoadLedger, LogReader
from tests.harness.load.order import Cost, Order

ROOT = Path(__file__).parents[3]
STOP_WITHIN_S = 150.0
"""More than the load's own patience."""
SAID = 10_000
"""Characters at the end of what it has said that are told."""


class LoadProcess:
    """`start`, then `stop`; ``ledger`` knows what `follow` has read so far."""

    def __init__(self, order: Order, ledger: LoadLedger) -> None:
        self.ledger = ledger
        self._order = order
        self._log = LogReader(Path(order.log))
        self._said = Path(f"{order.log}.said")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """For a ``with``, after which it is gone."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def start(self) -> None:
        """Begin."""
        Path(self._order.log).touch()
        command = [sys.executable, "-m", "tests.harness.load"]
        pipe = subprocess.PIPE
        # In a session of its own: Ctrl-C ends the tests, which end it. A pipe that nobody reads would fill.
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=said, start_new_session=True
            )
        self._tell(self._order)

    def trust(self, authorities: str) -> None:
        """Certificates (PEM) of further servers that it may come to."""
        self._tell(authorities)

    def follow(self) -> None:
        """Read what has come since the last time. Raises AssertionError where the load has ended by itself."""
        assert self._process is not None
        if self._process.poll() is not None:
            cost = self.stop()
            raise AssertionError(f"the load ended by itself after {cost.seconds:g} s")
        self._read()

    @property
    def rate(self) -> float:
        """Readings a second that it may send."""
        return self._order.readings_a_second

    def stop(self) -> Cost:
        """Return when all that was sent is acknowledged. Raises AssertionError with its sentence where it failed."""
        assert self._process is not None
        try:
            told, _ = self._process.communicate(timeout=STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            told, _ = self._process.communicate()
        self._read()
        code = self._process.returncode
        assert code == 0, f"the load ended with {code}: {self._said.read_text()[-SAID:]}"
        return msgspec.json.decode(told, type=Cost)

    def _tell(self, what: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(what) + b"\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        for stretch in self._log.read():
            self.ledger.note(stretch)
