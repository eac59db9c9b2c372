"""While readings flow, each part is broken in turn: nothing acknowledged is lost or doubled, and order holds.

By default most of them once; `--rounds` repeats all of it, with other victims and other readings, and `--figures FILE`
goes on where that file ends (see docs/reliability.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.harness.applied import history, settle, twin
from tests.harness.faults import FAULTS
from tests.harness.faults.scene import Fault, NoSuchPartError
from tests.harness.figures import LEAST_ROUNDS, Figures, Kept
from tests.harness.installation import Installation
from tests.harness.ledger import Entry
from tests.harness.sight import Sight
from tests.harness.striking import Striking
from tests.harness.traffic import METRICS, ROOMS, Traffic, room_of

SEED = 20150204
OVER_BUDGET = "the time is used up; the same command goes on from here"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As many rounds, and those faults, that are asked for."""
    wanted = metafunc.config.getoption("faults").split(",") if metafunc.config.getoption("faults") else []
    if unknown := set(wanted) - {fault.name for fault in FAULTS}:
        raise pytest.UsageError(f"no fault is called {', '.join(unknown)}: {', '.join(one.name for one in FAULTS)}")
    rounds = range(1, metafunc.config.getoption("rounds") + 1)
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", rounds, ids=[f"round-{one}" for one in rounds], scope="module")
    if "fault" in metafunc.fixturenames:
        chosen = [one for one in FAULTS if (one.name in wanted if wanted else len(rounds) > 1 or not one.of_many)]
        metafunc.parametrize("fault", chosen, ids=[one.name for one in chosen])


@pytest.fixture(scope="session")
def ends_s(pytestconfig: pytest.Config) -> float:
    """When no more faults are struck, by the monotonic clock."""
    return time.monotonic() + 60 * float(pytestconfig.getoption("budget_min"))


@pytest.fixture(scope="module")
def missed() -> list[str]:
    """Faults of a round that were not struck."""
    return []


@pytest.fixture(scope="module")
def traffic(testing: Installation, fault_figures: Figures, number: int, ends_s: float) -> Iterator[Traffic]:
    """Readings flow from the first fault of a round to the last."""
    if fault_figures.has(number):
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
def sight(testing: Installation, traffic: Traffic) -> Iterator[Sight]:
    """Somebody looks at every device."""
    looking = Sight(testing.entry.url, testing.token, traffic.devices, trust=testing.trust)
    with ExitStack() as started:
        started.callback(looking.stop)
        looking.start()
        yield looking


def test_the_system_gets_over_it_by_itself(
    testing: Installation,
    traffic: Traffic,
    sight: Sight,
    fault_figures: Figures,
    fault: Fault,
    number: int,
    ends_s: float,
    missed: list[str],
) -> None:
    if time.monotonic() > ends_s:
        missed.append(fault.name)
        pytest.skip(OVER_BUDGET)
    striking = Striking(testing, traffic, sight, seed=f"{SEED} {number}")
    try:
        fault_figures.add(striking.strike(fault, number))
    except NoSuchPartError as lacking:
        pytest.skip(str(lacking))


def test_after_all_this_no_acknowledged_reading_is_lost_or_doubled(
    testing: Installation, traffic: Traffic, fault_figures: Figures, number: int, missed: list[str]
) -> None:
    traffic.stop()
    rest, rooms = testing.entry.rest, traffic.rooms
    settle(rest, rooms)
    rows = list(history(rest, rooms))
    findings = traffic.ledger.compare(iter(rows))
    acknowledged = traffic.ledger.acknowledged
    seconds = traffic.ledger.seconds({"MQTT": traffic.by_mqtt, "REST": traffic.by_rest})
    fault_figures.add(Kept(number, not missed, len(acknowledged), len(findings.lost), len(findings.doubled), seconds))
    assert findings.clean, findings

    newest: dict[tuple[str, str], Entry] = {}
    for entry in sorted(acknowledged, key=lambda entry: entry.ts):
        newest[entry.device, entry.metric] = entry
    assert len(newest) == len(rooms) * len(METRICS)
    for (device, metric), entry in newest.items():
        assert twin(rest, f"devices/{device}")["latest"][metric] == {"ts": entry.ts, "value": entry.value}

    for room in set(rooms.values()):
        found = twin(rest, f"rooms/{room}")["metrics"]
        for metric in METRICS:
            expected = sum(room_of(row.device) == room and row.metric == metric for row in rows)
            assert found[metric]["count"] == expected, f"{room} {metric}"
    assert len(set(rooms.values())) == len(ROOMS)


@pytest.mark.rounds(LEAST_ROUNDS)
def test_no_fault_costs_more_than_it_may(fault_figures: Figures) -> None:
    assert not fault_figures.beyond()
