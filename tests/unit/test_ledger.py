"""The ledger finds what it is made to find."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.findings import EXAMPLES, Findings
from tests.harness.ledger import Entry, Ledger

ONE = Entry("a", "temperature", 1, 20.5)
TWO = Entry("a", "temperature", 2, 20.75)
OTHER = Entry("b", "temperature", 1, 3.0)
entries = st.lists(
    st.builds(Entry, st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 50), st.integers(0, 9)),
    min_size=1,
    unique_by=lambda entry: entry[:3],
)


def ledger_of(*sent: Entry) -> Ledger:
    ledger = Ledger()
    ledger.send(sent)
    ledger.acknowledge(sent)
    return ledger


def test_what_agrees_is_clean() -> None:
    found = ledger_of(ONE, TWO).compare(iter([TWO, ONE]))
    assert (found.clean, str(found)) == (True, "nothing")


def test_an_acknowledged_reading_that_is_missing_is_lost() -> None:
    findings = ledger_of(ONE, TWO).compare(iter([ONE]))
    assert list(findings.lost) == [TWO]
    assert str(findings) == f"1 lost: {TWO}"


def test_all_of_a_device_without_rows_is_lost() -> None:
    assert list(ledger_of(ONE, OTHER).compare(iter([ONE])).lost) == [OTHER]


def test_a_reading_without_acknowledgement_may_be_missing_or_there() -> None:
    ledger = ledger_of(ONE)
    ledger.send([TWO])
    assert ledger.compare(iter([ONE])).clean
    assert ledger.compare(iter([ONE, TWO])).clean


def test_a_reading_that_stands_twice_is_doubled() -> None:
    assert list(ledger_of(ONE).compare(iter([ONE, ONE])).doubled) == [ONE]


def test_a_reading_that_nobody_sent_is_told() -> None:
    assert list(ledger_of(ONE).compare(iter([ONE, OTHER])).never_sent) == [OTHER]


def test_a_changed_value_is_wrong_and_nothing_else() -> None:
    findings = ledger_of(ONE).compare(iter([ONE._replace(value=99.0)]))
    assert [name for name, found in findings.kinds().items() if found] == ["wrong"]
    assert "was sent as 20.5" in str(findings)


def test_of_many_findings_all_are_counted_and_the_first_are_kept() -> None:
    many = [Entry("a", "x", ts, 0) for ts in range(10 * EXAMPLES)]
    lost = ledger_of(*many).compare(iter([])).lost
    assert len(lost) == 10 * EXAMPLES
    assert list(lost) == many[:EXAMPLES]


@given(entries, st.data())
def test_any_ledger_agrees_with_its_own_rows_and_with_no_others(sent: list[Entry], data: st.DataObject) -> None:
    ledger, rows = ledger_of(*sent), sorted(sent)
    assert ledger.compare(iter(rows)).clean
    place = data.draw(st.integers(0, len(rows) - 1))
    one = rows[place]
    changes: dict[str, Callable[[], list[Entry]]] = {
        "lost": lambda: [*rows[:place], *rows[place + 1 :]],
        "doubled": lambda: [*rows[:place], one, *rows[place:]],
        "never sent": lambda: sorted([*rows, one._replace(ts=-1)]),
        "wrong": lambda: [*rows[:place], one._replace(value=-1), *rows[place + 1 :]],
    }
    for kind, change in changes.items():
        found = {name: len(all_) for name, all_ in ledger.compare(iter(change())).kinds().items() if all_}
        assert found == {kind: 1}


@pytest.mark.parametrize("kind", ["lost", "old owner"])
def test_any_finding_is_not_clean(kind: str) -> None:
    findings = Findings()
    findings.kinds()[kind].note("this")
    assert not findings.clean
    assert str(findings) == f"1 {kind}: this"
