"""What is read of logs while faults strike."""

from __future__ import annotations

from tests.harness.striking import events


def test_a_line_of_a_log_that_is_cut_or_no_event_is_left_out() -> None:
    log = 'starting\n{"event": "fenced"}\n3\n{"event": "stopped"}\n{"event": "fen'
    assert list(events(log)) == [{"event": "fenced"}, {"event": "stopped"}]
