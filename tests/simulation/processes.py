"""Processes of a simulation: each has an event loop's queue of its own, and may stand still or die."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar, copy_context

PROCESS: ContextVar[Process] = ContextVar("process")
"""Whose code runs; what it starts or schedules is of the same process."""


class Process:
    """What is ``ready`` runs in its order, as in any event loop; nothing of it runs while it is frozen or dead.

    Its wall clock is ``skew_us`` ahead of the simulation's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready: deque[asyncio.Handle] = deque()
        self.is_frozen = False
        self.is_dead = False
        self.skew_us = 0
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    @property
    def runs(self) -> bool:
        """Whether it is neither frozen nor dead."""
        return not (self.is_frozen or self.is_dead)
