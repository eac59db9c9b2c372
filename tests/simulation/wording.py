"""Frames and commits as a person reads them; a message is its device, its metrics and its number."""

from __future__ import annotations

from collections.abc import Iterable

from iot_system.domain.frames import ActorFrame, ActorMessage, DeviceFrame, RoomReadings, decode_frame
from iot_system.domain.readings import Telemetry, Value
from iot_system.domain.signals import Signal
from iot_system.ports.store import PartitionCommit


def frame_words(data: bytes) -> str:
    """What a frame bears."""
    frame = decode_frame(data)
    if isinstance(frame, DeviceFrame):
        return telemetry_words(frame.messages)
    if isinstance(frame, ActorFrame):
        return f"{frame.number} from partition {frame.source}: {', '.join(map(_message_words, frame.messages))}"
    return ", ".join(map(_signal_words, frame.signals))


def telemetry_words(messages: Iterable[Telemetry]) -> str:
    """Messages in their order."""
    return ", ".join(f"{one.device} {values_words(one.values)}" for one in messages)


def values_words(values: dict[str, Value]) -> str:
    """As ``t=3``."""
    return " ".join(f"{metric}={value}" for metric, value in values.items())


def commit_words(commits: Iterable[PartitionCommit]) -> str:
    """Whose, how far, and what is new."""
    return "; ".join(
        f"partition {one.partition} epoch {one.epoch} revision {one.revision} up to frame {one.applied}"
        + (f": {telemetry_words(one.readings)}" if one.readings else "")
        + (f", commands {', '.join(f'{c.id} {c.status}' for c in one.commands)}" if one.commands else "")
        + (f", received {one.received}" if one.received else "")
        + (f", sent {one.sent}" if one.sent else "")
        for one in commits
    )


def _message_words(message: ActorMessage) -> str:
    if isinstance(message, RoomReadings):
        told = ", ".join(f"{device} {values_words(values)}" for device, _, values in message.readings)
        return f"{message.room} hears {told}"
    return type(message).__name__


def _signal_words(signal: Signal) -> str:
    told = getattr(signal, "command", None) or getattr(signal, "connection", "")
    return f"{signal.device} {type(signal).__name__} {told}"
