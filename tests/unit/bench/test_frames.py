"""Frames as a gateway would publish them."""

from __future__ import annotations

from iot_system.domain.frames import FRAME_MESSAGES, DeviceFrame, decode_frame
from iot_system.domain.ids import partition_of
from iot_system.domain.readings import Telemetry

from bench.senders.frames import PARTITIONS, frames_of
from bench.workload import Workload, device

WORKLOAD = Workload(steps=600, start_ms=1_000, devices=10, metrics=2)


def messages_of(frames: list[bytes]) -> list[Telemetry]:
    decoded = [decode_frame(data) for data in frames]
    assert all(isinstance(frame, DeviceFrame) and len(frame.messages) <= FRAME_MESSAGES for frame in decoded)
    return [message for frame in decoded if isinstance(frame, DeviceFrame) for message in frame.messages]


def test_every_message_is_in_a_frame_of_its_partition_once_and_in_order() -> None:
    times: dict[str, list[int]] = {}
    for partition, frames in enumerate(frames_of(WORKLOAD)):
        for message in messages_of(frames):
            assert partition_of(message.device, PARTITIONS) == partition
            assert len(message.values) == 2
            times.setdefault(message.device, []).append(message.time_us)
    wanted = [(1_000 + step * 100) * 1000 for step in range(WORKLOAD.steps)]
    assert times == {device(number): wanted for number in range(WORKLOAD.devices)}
