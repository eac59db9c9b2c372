"""While readings flow, each part is broken in turn: nothing acknowledged is lost or doubled, and order holds.

By default most of them once; `--rounds` repeats all of it, with other victims and other readings, and `--figures FILE`
goes on where that file ends (see docs/reliability.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from chart_harness.waiting import wait_until

from tests.harness.applied import check_applied, settle
from tests.harness.checker import Checker
from tests.harness.commanding import Commanding
from tests.harness.errors import NoSuchPartError
from tests.harness.faults import FAULTS
from tests.harness.faults.scene import Fault
from tests.harness.figures import LEAST_ROUNDS, Figures, Kept
from tests.harness.installation import Installation
from tests.harness.owners import Owners
from tests.harness.sight import Sight
from tests.harness.striking import OVER_WITHIN_S, Striking
from tests.harness.traffic import Traffic

BEGAN_S = time.monotonic()
"""This is read as the run begins, before anything is installed."""
SEED = 20150204
OVER_BUDGET = "the time is used up; the same command goes on from here"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As many rounds, and those faults, that are asked for."""
    rounds = range(1, metafunc.config.getoption("rounds") + 1)
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", rounds, ids=[f"round-{one}" for one in rounds], scope="module")
    if "fault" in metafunc.fixturenames:
        chosen = choose(metafunc.config)
        metafunc.parametrize("fault", chosen, ids=[one.name for one in chosen])


def choose(config: pytest.Config) -> list[Fault]:
    """The faults that are asked for by name; else all, or of a single round those that are part of one."""
    wanted: list[str] = config.getoption("faults")
    is_one = config.getoption("rounds") == 1
    return [one for one in FAULTS if (one.name in wanted if wanted else not (is_one and one.of_many))]


@pytest.fixture(scope="session")
def ends_s(pytestconfig: pytest.Config) -> float:
    """When no more faults are struck, by the monotonic clock."""
    return BEGAN_S + 60 * float(pytestconfig.getoption("budget_min"))


@pytest.fixture(scope="session")
def chosen(pytestconfig: pytest.Config) -> list[str]:
    """Names of the faults that are asked for."""
    return [fault.name for fault in choose(pytestconfig)]


@pytest.fixture(scope="module")
def traffic(
    testing: Installation, fault_figures: Figures, chosen: list[str], number: int, ends_s: float
) -> Iterator[Traffic]:
    """Readings flow from the first fault of a round to the last."""
    if all(fault_figures.has(number, fault) for fault in chosen):
        pytest.skip(f"round {number} is in the file of figures already")
    if time.monotonic() > ends_s:
        pytest.skip(OVER_BUDGET)
    testing.namespace.wait_until_ready(within_s=120)
    entry = testing.entry
    running = Traffic(
        entry.url, testing.token, entry.mqtt, seed=SEED + number, name=f"round-{number}", trust=testing.trust
    )
    with ExitStack() as started:
        started.callback(running.stop)
        running.start()
        yield running


@pytest.fixture(scope="module")
def commanding(testing: Installation, traffic: Traffic, number: int) -> Iterator[Commanding]:
    """Commands are given, and done."""
    entry = testing.entry
    giving = Commanding(entry.url, testing.token, entry.mqtt, name=f"round-{number}-commanded", trust=testing.trust)
    giving.register(entry.rest)
    with ExitStack() as started:
        started.callback(giving.stop)
        giving.start()
        yield giving


@pytest.fixture(scope="module")
def owners(testing: Installation, traffic: Traffic) -> Iterator[Owners]:
    """Owners are asked how far they are."""
    asking = Owners(testing.entry.url, testing.token, traffic.devices, trust=testing.trust)
    with ExitStack() as started:
        started.callback(asking.stop)
        asking.start()
        yield asking


@pytest.fixture(scope="module")
def sight(testing: Installation, traffic: Traffic, commanding: Commanding, owners: Owners) -> Iterator[Sight]:
    """Somebody looks at every device, and has seen each: who has never been seen is late by no measure."""
    looking = Sight(testing.entry.url, testing.token, traffic.devices, trust=testing.trust)
    with ExitStack() as started:
        started.callback(looking.stop)
        looking.start()
        traffic.wait_until_heard()
        newest = traffic.ledger.newest()
        wait_until(lambda: looking.has_seen(newest), within_s=OVER_WITHIN_S, why="acknowledged, but not to be seen")
        yield looking


def test_the_system_gets_over_it_by_itself(
    testing: Installation,
    traffic: Traffic,
    sight: Sight,
    fault_figures: Figures,
    fault: Fault,
    number: int,
    ends_s: float,
) -> None:
    if fault_figures.has(number, fault.name):
        pytest.skip("it is in the file of figures already")
    if time.monotonic() > ends_s:
        pytest.skip(OVER_BUDGET)
    striking = Striking(testing, traffic, sight, seed=f"{SEED} {number}")
    try:
        fault_figures.add(striking.strike(fault, number))
    except NoSuchPartError as lacking:
        pytest.skip(str(lacking))


def test_after_all_this_nothing_is_lost_doubled_reordered_or_wrong(
    testing: Installation,
    traffic: Traffic,
    sight: Sight,
    commanding: Commanding,
    owners: Owners,
    fault_figures: Figures,
    figures: list[str],
    number: int,
) -> None:
    traffic.stop()
    newest = traffic.ledger.newest()
    wait_until(lambda: sight.has_seen(newest), within_s=OVER_WITHIN_S, why="acknowledged, but not to be seen")
    for one in (sight, commanding, owners):
        one.stop()
    rest = testing.entry.rest
    settle(rest, traffic.rooms)
    checker = Checker(traffic.ledger, acknowledged_within_s=OVER_WITHIN_S, visible_within_s=OVER_WITHIN_S)
    check_applied(checker, rest, traffic.rooms)
    for device in traffic.devices:
        checker.sightings(device, sight.seen[device])
    for (partition, _), said in owners.said.items():
        checker.owners(partition, said)
    checker.commands(commanding.given, commanding.found(rest))
    assert traffic.cost is not None
    figures.append(f"round {number}: the load itself took {traffic.cost.cores:.2f} of a core")
    findings = checker.findings
    if findings.clean:  # which says nothing of what nobody looked at: then the round has no end in the file
        assert set(traffic.ledger.devices()) == set(traffic.devices)
        assert {one.device for one in commanding.given} == set(commanding.devices)
        assert len(owners.said) == len(traffic.devices)
    acknowledged = traffic.ledger.count_acknowledged()
    seconds = traffic.ledger.seconds({"MQTT": traffic.by_mqtt, "REST": traffic.by_rest})
    counts = {kind: len(found) for kind, found in findings.kinds().items()}
    fault_figures.add(Kept(number, fault_figures.struck(number), acknowledged, counts, seconds))
    assert findings.clean, findings


def test_nothing_was_wrong_in_any_round_of_the_file(fault_figures: Figures) -> None:
    assert not fault_figures.wrong()


@pytest.mark.rounds(LEAST_ROUNDS)
def test_no_fault_costs_more_than_it_may(fault_figures: Figures, chosen: list[str], ends_s: float) -> None:
    assert not fault_figures.wrong()
    assert not fault_figures.beyond()
    missing = fault_figures.missing(chosen)
    if missing and time.monotonic() > ends_s:
        pytest.skip(OVER_BUDGET)
    assert not missing
