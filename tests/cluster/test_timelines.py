"""A database server that was primary for a moment, unknown to the others, finds back to them by itself."""

from __future__ import annotations

import contextlib
import time
from functools import partial

from chart_harness.errors import KubernetesError
from chart_harness.waiting import wait_until

from tests.harness.applied import found_in, settle
from tests.harness.faults.pods import PATRONI
from tests.harness.installation import Installation
from tests.harness.patroni import is_whole
from tests.harness.traffic import Traffic

SEED = 20261129
WHOLE_WITHIN_S = 120.0
LEADS_WITHIN_S = 60.0
STOP_PATRONI = """
for process in /proc/[0-9]*; do
  if [[ $(tr '\\0' ' ' < $process/cmdline) == /usr/bin/python3' '/usr/bin/patroni* ]]; then
    kill -STOP ${process#/proc/}
    stopped=$process
  fi
done
[[ $stopped ]]
"""
LEAD_FOR_A_MOMENT = """
pg_ctl promote --silent
psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --quiet --command=checkpoint
pg_ctl stop --silent --mode=fast
"""


def run(installation: Installation, server: str, script: str) -> str:
    return installation.at_server(server, "bash", "-ec", script)


def timeline(installation: Installation, server: str) -> str:
    """That of its last checkpoint; the server need not run."""
    lines = run(installation, server, "pg_controldata").splitlines()
    return next(line for line in lines if line.startswith("Latest checkpoint's TimeLineID"))


def is_on(installation: Installation, server: str, wanted: str) -> bool:
    return timeline(installation, server) == wanted


def has_said(installation: Installation, server: str, what: str) -> bool:
    """In its log, which there is not while its container is made."""
    with contextlib.suppress(KubernetesError):
        return what in installation.namespace.kubectl("logs", server, "--container=postgres")
    return False


def test_who_began_a_timeline_that_another_one_began_too_copies_the_primary_anew(
    testing: Installation, figures: list[str]
) -> None:
    namespace = testing.namespace
    whole = partial(is_whole, namespace)
    wait_until(whole, within_s=WHOLE_WITHIN_S, every_s=0.5, why="the database is not whole before")
    first = testing.database
    lost, successor = sorted({pod["metadata"]["name"] for pod in namespace.pods("postgres")} - {first})
    entry = testing.entry
    traffic = Traffic(entry.url, testing.token, entry.mqtt, seed=SEED, name="timelines", trust=testing.trust)
    traffic.start()
    try:
        traffic.wait_until_heard()
        run(testing, lost, STOP_PATRONI)
        run(testing, lost, LEAD_FOR_A_MOMENT)
        switch = f"patronictl --config-file {PATRONI} switchover --leader {first} --candidate {successor} --force"
        run(testing, first, switch)
        begun = partial(is_on, testing, successor, timeline(testing, lost))
        wait_until(begun, within_s=LEADS_WITHIN_S, every_s=0.5, why="the successor begins no timeline of that number")
        began_s = time.monotonic()
        namespace.kill(lost)
        copied = partial(has_said, testing, lost, "given up and copied anew")
        wait_until(copied, within_s=WHOLE_WITHIN_S, every_s=0.5, why="who was lost gives nothing up")
        wait_until(whole, within_s=WHOLE_WITHIN_S, every_s=0.5, why="who was lost does not come back")
        figures.append(f"a timeline that two began: whole again after {time.monotonic() - began_s:.0f} s")
        traffic.wait_until_heard()
    finally:
        traffic.stop()
    settle(testing.entry.rest, traffic.rooms)
    findings = found_in(traffic.ledger, testing.entry.rest, traffic.rooms)
    assert findings.clean, findings
