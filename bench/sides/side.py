"""What every side offers to be measured."""

from __future__ import annotations

from typing import Protocol

from bench.senders.orders import Order
from bench.workload import Workload


class Side(Protocol):
    """One way from devices to committed rows; its servers are running."""

    @property
    def name(self) -> str:
        """For the table."""
        ...

    def order(self, workload: Workload) -> Order:
        """What to tell a sender."""
        ...

    async def prepare(self) -> None:
        """Count from here on."""
        ...

    async def committed(self) -> int:
        """Messages all of whose rows are committed since `prepare`."""
        ...

    async def verify(self, workload: Workload) -> None:
        """Raises `Unavailable` unless each reading of ``workload`` is stored exactly once."""
        ...
