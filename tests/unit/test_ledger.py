"""The ledger finds what it is made to find."""

from __future__ import annotations

from tests.harness.ledger import Entry, Ledger

ONE = Entry("a", "temperature", 1, 20.5)
TWO = Entry("a", "temperature", 2, 20.75)


def ledger_of(*entries: Entry) -> Ledger:
    ledger = Ledger()
    ledger.send(entries)
    ledger.acknowledge(entries)
    return ledger


def test_what_agrees_is_clean() -> None:
    assert ledger_of(ONE, TWO).compare(iter([TWO, ONE])).clean


def test_an_acknowledged_reading_that_is_missing_is_lost() -> None:
    assert ledger_of(ONE, TWO).compare(iter([ONE])).lost == {TWO}


def test_a_reading_without_acknowledgement_may_be_missing_or_there() -> None:
    ledger = ledger_of(ONE)
    ledger.send([TWO])
    assert ledger.compare(iter([ONE])).clean
    assert ledger.compare(iter([ONE, TWO])).clean


def test_a_reading_that_stands_twice_is_doubled() -> None:
    assert ledger_of(ONE).compare(iter([ONE, ONE])).doubled == [ONE]


def test_a_changed_value_is_both_lost_and_never_sent() -> None:
    findings = ledger_of(ONE).compare(iter([ONE._replace(value=99.0)]))
    assert findings.lost == {ONE}
    assert len(findings.never_sent) == 1
