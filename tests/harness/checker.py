"""Holds a ledger, the history, twins, rooms, commands and what was seen meanwhile against each other.

Each method looks at one of them and adds to `findings`; what each kind of finding means stands in
`tests.harness.findings`, and in docs/reliability.md how it is known.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.harness.findings import Findings
from tests.harness.ledger import Accounts, Entry
from tests.harness.rows import Rows, Sum, same

DONE = "succeeded"
ENDS = {DONE, "failed", "expired", "cancelled"}


class Sighting(NamedTuple):
    """From this moment of the monotonic clock on the newest reading in a device's twin was that of ``ts``."""

    seen_s: float
    ts: int


class Ownership(NamedTuple):
    """What an owner of a partition said of itself: its epoch, and the sequence that its last commit came to."""

    epoch: int
    applied: int


class Given(NamedTuple):
    """A command that is durable. ``done`` are the results that its device gives, or is about to."""

    id: str
    device: str
    done: Sequence[Any]


class Checker:
    """``acknowledged_within_s`` and ``visible_within_s`` are the limits beyond which something is late."""

    def __init__(
        self, ledger: Accounts, *, acknowledged_within_s: float = math.inf, visible_within_s: float = math.inf
    ) -> None:
        self.findings = Findings()
        self._ledger = ledger
        self._acknowledged_within_s = acknowledged_within_s
        self._visible_within_s = visible_within_s
        self._rows = Rows()

    def history(self, rows: Iterable[Entry]) -> None:
        """All rows of all devices, those of one device together; comes before `device` and `room`."""
        self._ledger.compare(self._rows.counting(rows), self.findings)

    def waits(self) -> None:
        """How long acknowledgements took, where the ledger knows."""
        for device in self._ledger.devices():
            for message in self._ledger.account(device).messages:
                if message.acknowledged_s is None:
                    continue
                waited_s = message.acknowledged_s - message.sent_s
                if waited_s > self._acknowledged_within_s:
                    self.findings.late.note(f"{device} {message.ts} was acknowledged after {waited_s:.1f} s")

    def device(self, device: str, latest: Mapping[str, Mapping[str, Any]]) -> None:
        """The newest readings of its twin, by metric; metrics that have no rows are not looked at."""
        for metric, rows in self._rows.of_device(device).items():
            found = latest.get(metric)
            if found is None:
                self.findings.wrong.note(f"the twin of {device} has no {metric}")
            else:
                self._newest(f"the twin of {device}", metric, found, rows)

    def room(self, room: str, devices: Collection[str], metrics: Mapping[str, Mapping[str, Any]]) -> None:
        """A room's aggregates, which are of all rows of its ``devices``; others are not looked at."""
        for metric, rows in self._rows.of_devices(devices).items():
            found = metrics.get(metric)
            if found is None:
                self.findings.wrong.note(f"room {room} has no {metric}")
                continue
            self._newest(f"room {room}", metric, found["last"], rows)
            for name, value in (("count", rows.count), ("min", rows.min), ("max", rows.max), ("avg", rows.avg)):
                if not same(found[name], value):
                    self.findings.wrong.note(
                        f"room {room} has {found[name]} as {name} of {metric}, its rows have {value}"
                    )

    def sightings(self, device: str, seen: Iterable[Sighting]) -> None:
        """What somebody saw in its twin, in turn; what is acknowledged is to be seen soon after."""
        sights, newest = iter(seen), Sighting(-math.inf, -1)
        for message in self._ledger.account(device).messages:
            if message.acknowledged_s is None:
                continue
            while newest.ts < message.ts and (following := next(sights, None)) is not None:
                newest = max(newest, following, key=lambda one: one.ts)
            if newest.ts < message.ts:
                self.findings.late.note(f"{device} {message.ts} was never seen in its twin")
                return  # nor was anything that was sent later
            if (waited_s := newest.seen_s - message.acknowledged_s) > self._visible_within_s:
                self.findings.late.note(f"{device} {message.ts} was to be seen after {waited_s:.1f} s")

    def order(self, device: str, applied: Iterable[int]) -> None:
        """The times of its messages as somebody was told that they were applied; he may be told one again."""
        newest, told = -1, set[int]()
        for ts in applied:
            if ts < newest and ts not in told:
                self.findings.reordered.note(f"{device} {ts} was applied after {newest}")
            newest = max(newest, ts)
            told.add(ts)

    def owners(self, partition: int, said: Iterable[Ownership]) -> None:
        """What owners of a partition said, in the order in which one client heard it.

        One that is not the newest may still speak, until it learns that it owns nothing any more. But it commits
        nothing: what it came to was there when the next one began.
        """
        begun: dict[int, int] = {}
        """Epoch → what it had come to when first heard of: all that owners before it have committed, and more."""
        newest = Ownership(-1, -1)
        for one in said:
            following = [epoch for epoch in begun if epoch > one.epoch]
            if following and one.applied > begun[min(following)]:
                self.findings.old_owner.note(
                    f"partition {partition}: epoch {one.epoch} has committed up to {one.applied}, "
                    f"epoch {min(following)} had begun at {begun[min(following)]}"
                )
            if not following:
                if one.applied < newest.applied:
                    self.findings.old_owner.note(
                        f"partition {partition}: at epoch {one.epoch} it is at {one.applied}, "
                        f"it was at {newest.applied} at epoch {newest.epoch}"
                    )
                begun.setdefault(one.epoch, one.applied)
                newest = one

    def commands(self, given: Sequence[Given], found: Iterable[Mapping[str, Any]]) -> None:
        """All commands that the system has of their devices: each is at its end, which is what the device did."""
        by_id = {one.id: one for one in given}
        seen = set[str]()
        for command in found:
            id_, status = command["id"], command["status"]
            one = by_id.get(id_)
            if one is None:
                self.findings.never_sent.note(f"command {id_}")
            elif id_ in seen:
                self.findings.doubled.note(f"command {id_}")
            else:
                self._end(one, status, command["result"])
            seen.add(id_)
        for one in given:
            if one.id not in seen:
                self.findings.lost.note(f"command {one.id} to {one.device}")

    def _newest(self, whose: str, metric: str, found: Mapping[str, Any], rows: Sum) -> None:
        ts, value = found["ts"], found["value"]
        if ts < rows.ts:
            self.findings.reordered.note(f"{whose} has {metric} of {ts}, the newest row is of {rows.ts}")
        elif ts > rows.ts:
            self.findings.lost.note(f"the row of {metric} of {ts}, which {whose} has")
        elif value not in rows.last:
            self.findings.wrong.note(f"{whose} has {value} as {metric} of {ts}, its row has {rows.last[0]}")

    def _end(self, given: Given, status: str, result: Any) -> None:
        which = f"command {given.id} to {given.device}"
        if status not in ENDS:
            self.findings.late.note(f"{which} is {status}")
        elif status == DONE and result not in given.done:
            self.findings.wrong.note(f"{which} ended with {result}, done was {list(given.done)}")
        elif given.done and status != DONE:
            self.findings.lost.note(f"what {which} ended with: it was done, and is {status}")
        if len(given.done) > 1:
            self.findings.doubled.note(f"{which} was done {len(given.done)} times")
