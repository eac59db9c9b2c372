"""The room actor: keeps last, min, max, average and count of its devices' readings."""

from __future__ import annotations

from iot_system.domain.readings import Value
from iot_system.domain.twin import Aggregate, Latest, RoomState


class RoomActor:
    """One room in memory."""

    __slots__ = ("id", "last_used_s", "state")

    def __init__(self, id_: str, state: RoomState) -> None:
        self.id = id_
        self.state = state
        self.last_used_s = 0.0

    def receive(self, device: str, time_us: int, values: dict[str, Value]) -> None:
        """Take new readings of one of the room's devices in."""
        state = self.state
        state.members[device] = max(time_us, state.members.get(device, 0))
        for metric, value in values.items():
            aggregate = state.metrics.get(metric)
            if aggregate is None:
                aggregate = state.metrics[metric] = Aggregate(last=Latest(time_us, value), device=device)
            elif time_us >= aggregate.last.time_us:
                aggregate.last, aggregate.device = Latest(time_us, value), device
            aggregate.count += 1
            if isinstance(value, int | float) and not isinstance(value, bool):
                aggregate.numbers += 1
                aggregate.sum += value
                aggregate.min = value if aggregate.min is None else min(aggregate.min, value)
                aggregate.max = value if aggregate.max is None else max(aggregate.max, value)
