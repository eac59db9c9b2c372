"""Bytes of messages that one process has received and that are not durable yet."""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """Past ``limit`` nobody reads on; each connection may be over it by what it had read already."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: dict[Callable[[], None], None] = {}

    @property
    def is_spent(self) -> bool:
        return self._used >= self._limit

    def take(self, size: int) -> None:
        """So much was received."""
        self._used += size

    def give_back(self, size: int) -> None:
        """It is durable, or refused."""
        self._used -= size
        if self._waiting and self._used < self._limit:
            waiting, self._waiting = self._waiting, {}
            for read_on in waiting:
                read_on()

    def wait(self, read_on: Callable[[], None]) -> None:
        """Call ``read_on`` once there is room again."""
        self._waiting[read_on] = None

    def forget(self, read_on: Callable[[], None]) -> None:
        """It need not be called any more."""
        self._waiting.pop(read_on, None)
