"""Actors of one partition, without broker and store: frames in, changes out."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from iot_system.actors.changes import Changes
from iot_system.actors.partition import PartitionActors
from iot_system.actors.stored import Stored
from iot_system.domain.frames import FRAME_MESSAGES
from iot_system.domain.readings import Telemetry

from bench.actors.messages import registration, state


class AloneUpdater:
    """Implements `bench.actors.updater.Updater`. What a turn changes is sealed as for a commit, and thrown away."""

    def __init__(self, devices: int) -> None:
        self._actors = PartitionActors(0, received={}, sent={}, partition_of=lambda _: 0)
        for number in range(devices):
            self._actors.activate_device(registration(number), state(number, 0))

    async def update(self, messages: Sequence[Telemetry]) -> None:
        """See `bench.actors.updater.Updater.update`."""
        for start in range(0, len(messages), FRAME_MESSAGES):
            changes = Changes()
            frame = messages[start : start + FRAME_MESSAGES]
            self._actors.receive_telemetry(frame, changes, stored=Stored(), now_us=frame[-1].time_us)
            self._actors.seal(changes)


@contextlib.asynccontextmanager
async def updater(devices: int) -> AsyncIterator[AloneUpdater]:
    """Actors of new devices in rooms."""
    yield AloneUpdater(devices)
