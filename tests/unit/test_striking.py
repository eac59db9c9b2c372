"""What is read of logs while faults strike."""

from __future__ import annotations

from tests.harness.figures import Moment
from tests.harness.striking import events, time_line
from tests.harness.timeline import Change


def test_a_line_of_a_log_that_is_cut_or_no_event_is_left_out() -> None:
    log = 'starting\n{"event": "fenced"}\n3\n{"event": "stopped"}\n{"event": "fen'
    assert list(events(log)) == [{"event": "fenced"}, {"event": "stopped"}]


def test_the_time_line_of_a_fault_that_failed_says_what_was_done_and_what_became_of_pods() -> None:
    changes = [Change("2026-11-27T09:00:01.500+00:00", "api-0", "ending")]
    assert time_line("api-pod since 9", [Moment(0.2, "api-0 is deleted")], changes).splitlines() == [
        "api-pod since 9",
        "  +0.2 s api-0 is deleted",
        "  2026-11-27T09:00:01.500+00:00 api-0: ending",
    ]
