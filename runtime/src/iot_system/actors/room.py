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
        metrics = state.metrics
        for metric, value in values.items():
            aggregate = metrics.get(metric)
            if aggregate is None:
                aggregate = metrics[metric] = Aggregate(last=Latest(time_us, value), device=device)
            elif time_us >= aggregate.last.time_us:
                aggregate.last, aggregate.device = Latest(time_us, value), device
            aggregate.count += 1
            # By type, which is several times cheaper here than isinstance, and leaves bool out.
            if type(value) is float or type(value) is int:
                aggregate.numbers += 1
                aggregate.sum += value
                if aggregate.min is None or value < aggregate.min:
                    aggregate.min = value
                if aggregate.max is None or value > aggregate.max:
                    aggregate.max = value
