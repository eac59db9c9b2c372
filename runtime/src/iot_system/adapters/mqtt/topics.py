"""Topics: the standard's rules for names and filters, and what the names of this interface mean.

A topic is the REST path without its leading slash; ``me`` stands for the caller's own device id.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from iot_system.adapters.mqtt.limits import TOPIC_BYTES, TOPIC_LEVELS
from iot_system.adapters.mqtt.malformed import MalformedPacket
from iot_system.domain.ids import ME, check_id
from iot_system.errors import InvalidInput, NotFound
from iot_system.ports.gateway import Principal

_SHOWN = 100
_SHARE = "$share"


def check_topic(topic: str) -> str:
    """Return a topic name that the standard allows. Raises `MalformedPacket`."""
    if not topic:
        raise MalformedPacket("a topic name is empty", "4.7.3")
    if "+" in topic or "#" in topic:
        raise MalformedPacket(f"the topic name {topic[:_SHOWN]!r} has a wildcard", "3.3.2.1")
    return topic


def check_filter(filter_: str) -> str:
    """Return a topic filter that the standard allows. Raises `MalformedPacket`."""
    if not filter_:
        raise MalformedPacket("a topic filter is empty", "4.7.3")
    levels = filter_.split("/")
    for index, level in enumerate(levels):
        if "#" in level and (level != "#" or index < len(levels) - 1):
            raise MalformedPacket(f"the topic filter {filter_[:_SHOWN]!r} has '#' before its end", "4.7.1.2")
        if "+" in level and level != "+":
            raise MalformedPacket(f"the topic filter {filter_[:_SHOWN]!r} has '+' within a level", "4.7.1.3")
    return filter_


def check_size(topic: str) -> str:
    """Return a topic name or filter within `TOPIC_BYTES` and `TOPIC_LEVELS`. Raises `InvalidInput`."""
    if (size := len(topic.encode())) > TOPIC_BYTES:
        raise InvalidInput(f"topic {topic[:_SHOWN]!r} has {size} bytes; the limit is {TOPIC_BYTES}")
    if (levels := topic.count("/") + 1) > TOPIC_LEVELS:
        raise InvalidInput(f"topic {topic[:_SHOWN]!r} has {levels} levels; the limit is {TOPIC_LEVELS}")
    return topic


class Shared(NamedTuple):
    """A shared subscription: who subscribes by the same share name shares what matches the filter (4.8.2)."""

    share_name: str
    topic_filter: str


def parse_shared(filter_: str) -> Shared | None:
    """The parts of ``$share/{share name}/{filter}``; None for a filter of one's own.

    An empty share name or filter stands for a shared subscription that `is_shared_valid` refuses.
    """
    if not filter_.startswith(f"{_SHARE}/"):
        return None
    share_name, _, topic_filter = filter_[len(_SHARE) + 1 :].partition("/")
    return Shared(share_name, topic_filter)


def is_shared_valid(shared: Shared) -> bool:
    """Whether both parts are there, and no wildcard is in the name [MQTT-4.8.2-1, MQTT-4.8.2-2]."""
    return bool(shared.share_name and shared.topic_filter) and not {"+", "#"} & set(shared.share_name)


@lru_cache(maxsize=65_536)
def telemetry_device(topic: str) -> str:
    """The device id, or ``me``, of ``v1/devices/{id or me}/telemetry``.

    Raises `NotFound` for another topic and `InvalidInput` for an id that is none.
    """
    match topic.split("/"):
        case ["v1", "devices", device, "telemetry"]:
            return device if device == ME else check_id(device, field="device")
        case _:
            raise NotFound(f"topic {topic[:_SHOWN]!r} takes no messages; v1/devices/{{id or me}}/telemetry does")


def is_own(filter_: str, principal: Principal) -> bool:
    """Whether a filter asks for nothing but what is sent to this device: its desired state and its commands."""
    match filter_.split("/"):
        case ["v1", "devices", device, "twin", "desired"]:
            pass
        case ["v1", "devices", device, "commands", _, *_]:
            pass
        case _:
            return False
    return principal.role == "device" and device in (ME, principal.id)
