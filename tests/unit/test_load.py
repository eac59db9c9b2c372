"""The parts of a load that need no system: its pace, what it writes down, and what it says."""

from __future__ import annotations

from itertools import chain, pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.harness.load.log import LoadLedger, LogReader, LogWriter, Stretch
from tests.harness.load.pace import MOST_AT_ONCE_S, Pace
from tests.harness.load.script import Script, rows
from tests.harness.load.sending import stretches

SCRIPT = Script(seed=3, begin_ms=1_000, step_ms=10)


def test_a_pace_is_kept_whatever_the_moments_at_which_it_is_asked() -> None:
    pace = Pace(8.0, 100.0)
    assert [pace.due(moment) for moment in (100.0625, 100.125, 100.5, 100.5625, 101.0)] == [0, 1, 3, 0, 4]


def test_a_long_pause_is_not_made_up_for() -> None:
    pace = Pace(8.0, 100.0)
    assert pace.due(200.0) == 8 * MOST_AT_ONCE_S


@given(st.lists(st.integers(0, 20)))
def test_stretches_are_the_numbers_that_follow_one_another(numbers: list[int]) -> None:
    found = list(stretches(numbers))
    assert list(chain.from_iterable(found)) == numbers
    assert all(one.stop != other.start for one, other in pairwise(found))


def test_what_was_written_is_read_once_and_never_a_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    one, other = Stretch(False, 0, 1, 3, 5_000_000_000), Stretch(True, 65_535, 2, 1, 2**62)
    reader = LogReader(path)
    with LogWriter(path) as log:
        log.note(one)
        log.flush()
        assert list(reader.read()) == [one]
        log.note(other)
    path.write_bytes((whole := path.read_bytes()) + whole[:10])
    assert list(reader.read()) == [other]
    path.write_bytes(whole * 2)
    assert list(reader.read()) == [one, other]


def test_a_message_is_known_again_by_its_device_and_number(tmp_path: Path) -> None:
    ledger = LoadLedger(SCRIPT, ["a", "b"])
    ledger.note(Stretch(False, 1, 1, 2, 7_000_000_000))
    ledger.note(Stretch(True, 1, 2, 1, 9_000_000_000))
    assert ledger.devices() == ["b"]
    account = ledger.account("b")
    first, second = (rows()[(SCRIPT.first_row("b") + number) % len(rows())] for number in (1, 2))
    assert account.sent == {(metric, 1_010): first[metric] for metric in first} | {
        (metric, 1_020): second[metric] for metric in second
    }
    assert account.acknowledged == {(metric, 1_020) for metric in second}
    assert account.messages == [(1_010, 7.0, None), (1_020, 7.0, 9.0)]
    assert ledger.count_acknowledged() == len(second)


def test_two_devices_do_not_say_the_same() -> None:
    assert len({SCRIPT.first_row(f"device-{number}") for number in range(20)}) > 15
