"""What all kinds of files have in common: messages and where they stand, and readings grouped to messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from iot_system.client import Message
from iot_system.domain.readings import METRICS_LIMIT


class Row(NamedTuple):
    """One reading; ``place`` counts rows or lines of a file from 1."""

    place: int
    device: str
    ts: float
    metric: str
    value: Any


class Item(msgspec.Struct, frozen=True):
    """A message, where it begins in the file, and how many rows it takes."""

    place: int
    message: Message
    rows: int


class Broken(msgspec.Struct, frozen=True):
    """A row that cannot be used, and why."""

    place: int
    why: str


def grouped(rows: Iterable[Row | Broken]) -> Iterator[Item | Broken]:
    """Rows that follow each other and have one device and time are one message."""
    group: list[Row] = []
    for row in rows:
        if isinstance(row, Broken):
            yield row
            continue
        if group and not _belongs(row, group):
            yield _item(group)
            group = []
        group.append(row)
    if group:
        yield _item(group)


def _belongs(row: Row, group: list[Row]) -> bool:
    first = group[0]
    return (
        (row.device, row.ts) == (first.device, first.ts)
        and len(group) < METRICS_LIMIT
        and all(row.metric != other.metric for other in group)
    )


def _item(group: list[Row]) -> Item:
    first = group[0]
    values = {row.metric: row.value for row in group}
    return Item(first.place, Message(device=first.device, ts=first.ts, values=values), len(group))
