"""Which messages a device remembers by their ids, to recognise a re-send. Pure.

An id of the sender's own is remembered as it is. Ids that a session of MQTT gives to messages of QoS 2 are numbered, so
that what came without a gap is one entry however much it is: all that a client may have on its way is recognised.
"""

from __future__ import annotations

from typing import NamedTuple

RECENT_IDS = 32
"""How many entries a device remembers."""
_MARK = "\x1f"
"""In no id of a sender's own, which has printable characters only."""
_END = "."


def part_id(packet: str, part: int, *, is_last: bool) -> str:
    """The id of a message of the packet ``{series}-{number}``, counted from 0: it bears one, or a list of them."""
    return f"{packet}{_MARK}{part}{_END if is_last else ''}"


def is_recent(recent: tuple[str, ...], id_: str) -> bool:
    """Whether ``id_`` is among those remembered."""
    if id_ in recent:
        return True
    place = _place(id_)
    return place is not None and any(run.first <= place.at <= run.last for run in _runs(recent, place.series))


def remembered(recent: tuple[str, ...], id_: str) -> tuple[str, ...]:
    """What is remembered with ``id_`` as the newest: the oldest entry is forgotten where there are too many."""
    place = _place(id_)
    entry, before = id_, None
    if place is not None:
        before = next((run for run in _runs(recent, place.series) if run.is_followed_by(place)), None)
        first = place.at if before is None else before.first
        entry = _MARK.join([place.series, *map(str, (*first, *place.at))]) + (_END if place.is_last else "")
    kept = recent if before is None else tuple([one for one in recent if one != before.entry])
    return (*kept[1 - RECENT_IDS :], entry)


class _Place(NamedTuple):
    """Where a message stands: the number of its packet in the series, and its own in the packet."""

    series: str
    at: tuple[int, int]
    is_last: bool


class _Run(NamedTuple):
    """All messages of a series from ``first`` to ``last``; ``is_whole``: that one was the last of its packet."""

    entry: str
    first: tuple[int, int]
    last: tuple[int, int]
    is_whole: bool

    def is_followed_by(self, place: _Place) -> bool:
        number, part = self.last
        return place.at == ((number + 1, 0) if self.is_whole else (number, part + 1))


def _place(id_: str) -> _Place | None:
    packet, mark, part = id_.partition(_MARK)
    if not mark:
        return None
    series, _, number = packet.rpartition("-")
    return _Place(series, (int(number), int(part.removesuffix(_END))), part.endswith(_END))


def _runs(recent: tuple[str, ...], series: str) -> list[_Run]:
    return [_run(entry) for entry in recent if entry.startswith(f"{series}{_MARK}")]


def _run(entry: str) -> _Run:
    one, two, three, four = map(int, entry.removesuffix(_END).split(_MARK)[1:])
    return _Run(entry, (one, two), (three, four), entry.endswith(_END))
