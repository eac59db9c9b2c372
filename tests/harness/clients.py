"""Clients that go on until a test has what it wants, one thread for each device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from tests.harness.rest import Rest

Work = Callable[[Rest, str], None]


class Clients:
    """Each has a connection of its own, which ``connect`` makes, as clients that know nothing of each other.

    ``works``: device → what is done with that connection and device until `is_stopped_within` says so.
    """

    def __init__(self, connect: Callable[[], Rest], works: Mapping[str, Work]) -> None:
        self._connect = connect
        self._is_stopped = threading.Event()
        self._problems: list[BaseException] = []
        self._threads = [threading.Thread(target=self._guard, args=(work, device)) for device, work in works.items()]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Return when each has ended. Raises what ended one before."""
        self._is_stopped.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self.check()

    def check(self) -> None:
        """Raises what has ended one before it was stopped."""
        if self._problems:
            raise self._problems[0]

    def is_stopped_within(self, pause_s: float) -> bool:
        """Wait so long, and no longer than until `stop`."""
        return self._is_stopped.wait(pause_s)

    def _guard(self, work: Work, device: str) -> None:
        rest = self._connect()
        try:
            work(rest, device)
        except Exception as problem:  # noqa: BLE001 - told by `check`
            self._problems.append(problem)
        finally:
            rest.close()
