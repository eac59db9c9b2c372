"""Devices that tell another one, on whichever shard it lives, what happens to them; and that other one."""

from __future__ import annotations

from collections.abc import Iterator

from iot_system.actors.device import DeviceActor
from iot_system.actors.effects import Effect, Report, Tell
from iot_system.domain.addresses import Address
from iot_system.domain.commands import Command
from iot_system.domain.history import Reading

TALLY = "tally"
"""The label that names the other device."""
MARK = "mark"
"""The metric after which nothing more comes."""


class Teller(DeviceActor):
    """Passes on the value of each reading, and the number in the payload of each command that is over."""

    def on_reading(self, reading: Reading) -> Iterator[Effect]:
        yield self._tell(reading.metric, reading.value)

    def on_command_result(self, command: Command) -> Iterator[Effect]:
        yield self._tell(command.name, command.payload["number"])

    def _tell(self, name: str, value: object) -> Effect:
        return Tell(Address("device", self.device.labels[TALLY]), name, value)


class Tally(DeviceActor):
    """Reports how often it was told each name, and the sum of the values; of marks, the last one of each sender."""

    def on_message(self, sender: Address, name: str, payload: object) -> Iterator[Effect]:
        if name == MARK:
            yield Report({MARK: {sender.id: payload}})
            return
        assert isinstance(payload, int | float)
        so_far = self.state.reported.get(name, {"count": 0, "sum": 0})
        yield Report({name: {"count": so_far["count"] + 1, "sum": so_far["sum"] + payload}})
