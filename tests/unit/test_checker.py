"""The checker finds each defect that is planted, calls it by its name, and finds nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import occupancy
from tests.harness.checker import Checker, Given, Ownership, Sighting
from tests.harness.findings import Findings
from tests.harness.ledger import Entry
from tests.harness.load.log import LoadLedger, Stretch
from tests.harness.load.script import Script
from tests.harness.rows import Rows, same

SECOND_NS = 1_000_000_000
SCRIPT = Script(seed=7, begin_ms=1_700_000_000_000, step_ms=100)
DEVICES = ("one", "two")
ROOM = "hall"
MESSAGES = 30
METRIC = "temperature"
LIMIT_S = 10.0


class World:
    """Two devices of a room have sent a message a second; each was acknowledged and seen after half a second."""

    def __init__(self) -> None:
        self.ledger = LoadLedger(SCRIPT, DEVICES)
        for number in range(1, MESSAGES + 1):
            for place in range(len(DEVICES)):
                self.ledger.note(Stretch(False, place, number, 1, number * SECOND_NS))
                self.acknowledge(place, number, number * SECOND_NS + SECOND_NS // 2)
        sent = [Entry(device, *key, value) for device in DEVICES for key, value in self.account(device)]
        self.rows = sorted(sent, key=lambda row: (row.device, row.ts, row.metric))
        self.twins = {device: newest([row for row in sent if row.device == device]) for device in DEVICES}
        self.room: dict[str, dict[str, Any]] = {}
        self.count()
        self.seen = [Sighting(number + 1.0, SCRIPT.ts(number)) for number in range(1, MESSAGES + 1)]
        self.applied = [SCRIPT.ts(number) for number in range(1, MESSAGES + 1)]
        self.owners = [Ownership(1, 5), Ownership(1, 8), Ownership(2, 9), Ownership(1, 9), Ownership(2, 12)]
        self.given = [Given("c1", "one", [{"done": 1}]), Given("c2", "two", [])]
        self.commands: list[dict[str, Any]] = [
            {"id": "c1", "status": "succeeded", "result": {"done": 1}},
            {"id": "c2", "status": "expired", "result": None},
        ]

    def acknowledge(self, place: int, number: int, at_ns: int) -> None:
        self.ledger.note(Stretch(True, place, number, 1, at_ns))

    def account(self, device: str) -> Sequence[tuple[tuple[str, int], Any]]:
        return list(self.ledger.account(device).sent.items())

    def count(self) -> None:
        """The room's aggregates are those of the rows as they are now."""
        self.room = {metric: self._aggregate(metric) for metric in self.twins["one"]}

    def _aggregate(self, metric: str) -> dict[str, Any]:
        rows = [row for row in self.rows if row.metric == metric]
        numbers = [float(row.value) for row in rows if not isinstance(row.value, bool)]
        last = dict(self.twins["one"][metric])
        if not numbers:
            return {"last": last, "count": len(rows), "min": None, "max": None, "avg": None}
        least, most = min(numbers), max(numbers)
        return {"last": last, "count": len(rows), "min": least, "max": most, "avg": sum(numbers) / len(numbers)}

    def found(self) -> dict[str, int]:
        """Kind → how often."""
        checker = Checker(self.ledger, acknowledged_within_s=LIMIT_S, visible_within_s=LIMIT_S)
        checker.history(self.rows)
        checker.waits()
        for device in DEVICES:
            checker.device(device, self.twins[device])
        checker.room(ROOM, DEVICES, self.room)
        checker.sightings("one", self.seen)
        checker.order("one", self.applied)
        checker.owners(0, self.owners)
        checker.commands(self.given, self.commands)
        return {kind: len(found) for kind, found in checker.findings.kinds().items() if found}


def newest(rows: Sequence[Entry]) -> dict[str, Any]:
    return {row.metric: {"ts": row.ts, "value": row.value} for row in sorted(rows, key=lambda row: row.ts)}


@pytest.fixture
def world() -> World:
    return World()


def middle(world: World) -> int:
    """A row that is neither the newest nor the least or the greatest of its metric."""
    of_metric = sorted((row.value, place) for place, row in enumerate(world.rows) if row.metric == METRIC)
    newest_ts = max(row.ts for row in world.rows)
    return next(place for _, place in of_metric[len(of_metric) // 2 :] if world.rows[place].ts < newest_ts)


def test_a_clean_run_has_no_findings(world: World) -> None:
    assert world.found() == {}


def lose_a_row(world: World) -> None:
    world.rows.pop(middle(world))
    world.count()


def double_a_row(world: World) -> None:
    place = middle(world)
    world.rows.insert(place, world.rows[place])
    world.count()


def add_a_row(world: World) -> None:
    world.rows.insert(0, world.rows[0]._replace(ts=SCRIPT.begin_ms - 1))
    world.count()


def change_a_row(world: World) -> None:
    place = middle(world)
    world.rows[place] = world.rows[place]._replace(value=99.0)
    world.count()


def overwrite_a_twin(world: World) -> None:
    world.twins["one"] |= newest([row for row in world.rows if row.device == "one" and row.ts <= SCRIPT.ts(3)])


def change_a_twin(world: World) -> None:
    world.twins["one"][METRIC]["value"] += 1


def forget_a_metric(world: World) -> None:
    del world.twins["one"][METRIC]


def acknowledge_late(world: World) -> None:
    ledger, late = World().ledger, LoadLedger(SCRIPT, DEVICES)
    for place, device in enumerate(DEVICES):
        for number, message in enumerate(ledger.account(device).messages, 1):
            wait_s = 11 if (device, number) == ("two", 5) else 0.5
            late.note(Stretch(False, place, number, 1, number * SECOND_NS))
            late.note(Stretch(True, place, number, 1, round((message.sent_s + wait_s) * SECOND_NS)))
    world.ledger = late


def see_late(world: World) -> None:
    place = len(world.seen) - 1
    world.seen[place] = world.seen[place]._replace(seen_s=world.seen[place].seen_s + LIMIT_S)


def never_see_the_last(world: World) -> None:
    world.seen.pop()


def apply_out_of_order(world: World) -> None:
    world.applied[4], world.applied[5] = world.applied[5], world.applied[4]


def change_a_count(world: World) -> None:
    world.room[METRIC]["count"] += 1


def change_an_average(world: World) -> None:
    world.room[METRIC]["avg"] += 0.01


def overwrite_a_room(world: World) -> None:
    world.room[METRIC]["last"] = {"ts": SCRIPT.ts(1), "value": 1.0}


def commit_with_an_old_epoch(world: World) -> None:
    world.owners[3] = Ownership(1, 10)


def begin_before_what_was_committed(world: World) -> None:
    world.owners[2] = Ownership(2, 7)


def forget_a_command(world: World) -> None:
    world.commands.pop()


def leave_a_command_open(world: World) -> None:
    world.commands[1]["status"] = "sent"


def do_a_command_twice(world: World) -> None:
    world.given[0] = world.given[0]._replace(done=[{"done": 1}, {"done": 1}])


def end_a_command_otherwise(world: World) -> None:
    world.commands[0]["result"] = {"done": 2}


def expire_what_was_done(world: World) -> None:
    world.commands[0] |= {"status": "expired", "result": None}


def invent_a_command(world: World) -> None:
    world.commands.append(world.commands[0] | {"id": "c3"})


PLANTED: dict[Callable[[World], None], str] = {
    lose_a_row: "lost",
    double_a_row: "doubled",
    add_a_row: "never sent",
    change_a_row: "wrong",
    overwrite_a_twin: "reordered",
    change_a_twin: "wrong",
    forget_a_metric: "wrong",
    acknowledge_late: "late",
    see_late: "late",
    never_see_the_last: "late",
    apply_out_of_order: "reordered",
    change_a_count: "wrong",
    change_an_average: "wrong",
    overwrite_a_room: "reordered",
    commit_with_an_old_epoch: "old owner",
    begin_before_what_was_committed: "old owner",
    forget_a_command: "lost",
    leave_a_command_open: "late",
    do_a_command_twice: "doubled",
    end_a_command_otherwise: "wrong",
    expire_what_was_done: "lost",
    invent_a_command: "never sent",
}


@pytest.mark.parametrize(("plant", "kind"), PLANTED.items(), ids=[plant.__name__ for plant in PLANTED])
def test_a_planted_defect_is_found_and_called_by_its_name(
    world: World, plant: Callable[[World], None], kind: str
) -> None:
    plant(world)
    assert set(world.found()) == {kind}


def test_every_kind_of_finding_has_a_planted_defect() -> None:
    assert set(Findings().kinds()) == set(PLANTED.values())


@given(st.lists(st.integers(1, 5), min_size=2, max_size=30), st.data())
def test_owners_that_hand_over_are_believed_and_one_that_goes_on_is_found(
    steps: list[int], data: st.DataObject
) -> None:
    """The offset grows by steps, at each of which there may be another owner; those of before repeat themselves."""
    applied, epoch = 0, 1
    said, last = list[Ownership](), dict[int, int]()
    for step in steps:
        applied += step
        epoch += data.draw(st.booleans())
        said.append(Ownership(epoch, applied))
        last[epoch] = applied
        old = data.draw(st.sampled_from(sorted(last)))
        said.append(Ownership(old, last[old]))
    assert found_of(said).clean
    if epoch - 1 in last:
        assert len(found_of([*said, Ownership(epoch - 1, applied + 1)]).old_owner) == 1
    assert len(found_of([*said, Ownership(epoch + 1, applied - 1)]).old_owner) == 1


def test_sums_of_rows_are_those_of_the_samples_own_arithmetic() -> None:
    rows = Rows()
    assert len(list(rows.counting(occupancy.entries()))) == 48_858
    found = rows.of_devices(occupancy.DEVICES)
    assert found.keys() == occupancy.room().keys()
    for metric, expected in occupancy.room().items():
        one = found[metric]
        assert (one.count, one.min, one.max) == (expected.count, expected.min, expected.max)
        assert same(one.avg, expected.avg)
        assert expected.last in one.last


def found_of(said: Sequence[Ownership]) -> Findings:
    checker = Checker(LoadLedger(SCRIPT, DEVICES))
    checker.owners(0, said)
    return checker.findings
