"""Topics: the standard's rules for names and filters, and what the names of this interface mean.

A topic is the REST path without its leading slash; ``me`` stands for the caller's own device id.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from iot_system.adapters.mqtt.limits import TOPIC_BYTES, TOPIC_LEVELS
from iot_system.adapters.mqtt.malformed import MalformedPacket
from iot_system.domain.ids import ME, check_id
from iot_system.errors import Forbidden, InvalidInput

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


class Target(NamedTuple):
    """What a message is to the interface: readings, a change of the reported state, or the result of ``command``.

    ``device`` is its id, or ``me``.
    """

    kind: Literal["telemetry", "reported", "result"]
    device: str
    command: str = ""


@lru_cache(maxsize=65_536)
def target_of(topic: str) -> Target:
    """What a topic below ``v1/`` takes. Raises `Forbidden` for one that takes nothing, `InvalidInput` for a bad id."""
    match topic.split("/"):
        case ["v1", "devices", device, "telemetry"]:
            return Target("telemetry", _device(device))
        case ["v1", "devices", device, "twin", "reported"]:
            return Target("reported", _device(device))
        case ["v1", "devices", device, "commands", command, "result"]:
            return Target("result", _device(device), check_id(command, field="command"))
        case _:
            raise Forbidden(
                f"topic {topic[:_SHOWN]!r} takes no messages; below v1/devices/{{id or me}}/ telemetry, twin/reported "
                "and commands/{command}/result do, and what is below app/"
            )


def overlap(filter_: str, other: str) -> bool:
    """Whether there is a topic that both filters match."""
    mine, theirs = filter_.split("/"), other.split("/")
    for index in range(max(len(mine), len(theirs))):
        one = mine[index] if index < len(mine) else None
        two = theirs[index] if index < len(theirs) else None
        if "#" in (one, two):
            return True
        if one is None or two is None or (one != two and "+" not in (one, two)):
            return False
    return True


def _device(id_: str) -> str:
    return id_ if id_ == ME else check_id(id_, field="device")
