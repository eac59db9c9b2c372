"""One actor of Ray for each device, as one would write it with Ray: a call for each message, many calls under way."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import ray
from iot_system.actors.device import DeviceActor
from iot_system.actors.stored import Stored
from iot_system.domain.readings import Telemetry

from bench.actors.messages import registration, state
from bench.workload import device

WAVE = 1000
"""Calls under way before their results are got; more gained nothing."""


class RayDevice:
    """Holds our own actor of the device, so that both sides do the same with a message."""

    def __init__(self, number: int) -> None:
        self._actor = DeviceActor(registration(number), state(number, 0))

    def receive(self, message: Telemetry) -> int:
        """How many new readings it bears."""
        new = self._actor.receive(message, Stored(), {})
        return len(new.values) if new else 0


class RayUpdater:
    """Implements `bench.actors.updater.Updater`."""

    def __init__(self, actors: dict[str, Any]) -> None:
        self._actors = actors

    async def update(self, messages: Sequence[Telemetry]) -> None:
        """See `bench.actors.updater.Updater.update`: calls of one actor are done in their order."""
        for start in range(0, len(messages), WAVE):
            wave = messages[start : start + WAVE]
            ray.get([self._actors[message.device].receive.remote(message) for message in wave])


@contextlib.asynccontextmanager
async def updater(devices: int) -> AsyncIterator[RayUpdater]:
    """A Ray of its own; its processes go with the benchmark's."""
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )
    try:
        remote: Any = ray.remote(num_cpus=0)(RayDevice)
        actors = {device(number): remote.remote(number) for number in range(devices)}
        ray.get([actor.__ray_ready__.remote() for actor in actors.values()])
        yield RayUpdater(actors)
    finally:
        ray.shutdown()
