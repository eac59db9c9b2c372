"""Readings for rooms of the same shard: their actors get them in the commit that brings them, and no broker does.

They are numbered as those that travel. A partition that got some stands or falls with the one that gave them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from iot_system.actors.changes import Changes
from iot_system.domain.frames import ActorMessage, RoomReadings
from iot_system.services.partition import Partition
from iot_system.services.turn import Share


def hand_over(shares: list[Share], owned: Mapping[int, Partition], *, now_us: int) -> list[Share]:
    """Give rooms in memory what partitions in ``shares`` have for them; returns ``shares`` and those that joined.

    What cannot be given, because something before it is still on its way, or because it is not for rooms alone, leaves
    by the outbox as ever.
    """
    by_number = {share.partition.number: share for share in shares}
    for share in shares:
        source = share.partition.actors
        left: list[ActorMessage] = []
        for number, messages in source.by_target(share.changes.messages).items():
            target = owned.get(number)
            if target is None or not target.actors.has_all_of(source) or not _can_take(target, messages):
                left += messages
                continue
            taker = by_number.get(number)
            if taker is None:
                taker = by_number[number] = Share(target, Changes(listening=share.changes.listening))
            source.hand_over(messages, share.changes, target.actors, taker.changes, now_us=now_us)
            share.bound.add(number)
            taker.bound.add(share.partition.number)
        share.changes.messages = left
    return list(by_number.values())


def bound_to(partitions: Collection[int], shares: Iterable[Share]) -> set[int]:
    """``partitions``, and those whose ``shares`` stand or fall with them."""
    bound = {share.partition.number: share.bound for share in shares}
    found: set[int] = set()
    more = set(partitions)
    while more:
        found |= more
        more = set().union(*(bound.get(number, ()) for number in more)) - found
    return found


def _can_take(target: Partition, messages: Iterable[ActorMessage]) -> bool:
    rooms = target.actors.rooms
    return all(isinstance(message, RoomReadings) and message.room in rooms for message in messages)
