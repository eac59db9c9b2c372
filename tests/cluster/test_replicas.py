"""A database server that can follow the primary no more is copied anew by itself, while devices go on to send."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest
from chart_harness.errors import KubernetesError
from chart_harness.waiting import wait_until

from tests.harness.applied import found_in, settle
from tests.harness.faults.pods import PATRONI
from tests.harness.installation import Installation
from tests.harness.patroni import wait_until_whole
from tests.harness.traffic import Traffic

SEED = 20261129
WHOLE_WITHIN_S = GIVEN_UP_WITHIN_S = 120.0
STILL_WITHIN_S = 240.0
"""A minute of it passes before it is given up, and only what the primary answers in time counts."""
LEADS_WITHIN_S = 60.0
SIGNAL_PATRONI = """
for process in /proc/[0-9]*; do
  if [[ $(tr '\\0' ' ' < $process/cmdline) == /usr/bin/python3' '/usr/local/bin/follower* ]]; then
    kill -"$0" ${process#/proc/}
    found=$process
  fi
done
[[ $found ]]
"""
LEAD_FOR_A_MOMENT = """
pg_ctl promote --silent
psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --quiet --command=checkpoint
pg_ctl stop --silent --mode=fast
"""
START_ALONE = """
touch "$PGDATA/standby.signal"
python3 - <<'END'
import os, pathlib
settings = pathlib.Path(os.environ["PGDATA"], "postgresql.conf")
kept = [line for line in settings.read_text().splitlines() if not line.startswith("primary_conninfo")]
settings.write_text("\\n".join(kept))
END
read -r options < "$PGDATA/postmaster.opts"
eval "set -- ${options#* }"
pg_ctl start --silent --log=/tmp/alone.log -o "$*"
"""
"""As where there is no primary: nobody is followed until Patroni says so."""
LEAVE_BEHIND = """
psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --quiet --set=ON_ERROR_STOP=1 <<END
select format('select pg_logical_emit_message(true, %L, %L)', 'test', number), 'select pg_switch_wal()'
  from generate_series(1, 16) as number \\gexec
select pg_drop_replication_slot(translate('$0', '-', '_'));
checkpoint;
END
"""
"""More than is kept, 128 MB, for a server for which nothing is kept from then on."""


def run(installation: Installation, server: str, script: str, *words: str) -> str:
    return installation.at_server(server, "bash", "-ec", script, *words)


def timeline(installation: Installation, server: str) -> str:
    """That of its last checkpoint; the server need not run."""
    lines = run(installation, server, "pg_controldata").splitlines()
    return next(line for line in lines if line.startswith("Latest checkpoint's TimeLineID"))


def is_on(installation: Installation, server: str, wanted: str) -> bool:
    return timeline(installation, server) == wanted


def has_given_up(installation: Installation, server: str, since: datetime, why: str) -> bool:
    """By its log, which there is not while its container is made."""
    log = ("logs", server, "--container=postgres", f"--since-time={since.isoformat()}")
    with contextlib.suppress(KubernetesError):
        return re.search(f"{why}: .* given up and copied anew", installation.namespace.kubectl(*log)) is not None
    return False


@dataclass(frozen=True)
class Servers:
    """The primary, and the others: one of them is lost for a while."""

    first: str
    lost: str
    successor: str


@pytest.fixture
def servers(testing: Installation, figures: list[str]) -> Iterator[Servers]:
    """While devices send. Afterwards any of them may be lost again, and all that was acknowledged is there."""
    wait_until_whole(testing.namespace, WHOLE_WITHIN_S, "the database is not whole before")
    first = testing.database
    others = sorted({pod["metadata"]["name"] for pod in testing.namespace.pods("postgres")} - {first})
    entry, name = testing.entry, f"replicas-{secrets.token_hex(3)}"  # others in each test
    traffic = Traffic(entry.url, testing.token, entry.mqtt, seed=SEED, name=name, trust=testing.trust)
    traffic.start()
    try:
        traffic.wait_until_heard()
        began_s = time.monotonic()
        yield Servers(first, *others)
        wait_until_whole(testing.namespace, WHOLE_WITHIN_S, "who was lost does not come back")
        took_s = time.monotonic() - began_s
        figures.append(f"a Postgres server that can follow no more: whole again after {took_s:.0f} s")
        traffic.wait_until_heard()
    finally:
        traffic.stop()
    settle(testing.entry.rest, traffic.rooms)
    findings = found_in(traffic.ledger, testing.entry.rest, traffic.rooms)
    assert findings.clean, findings


def killed(testing: Installation, server: str) -> None:
    """It starts while there is a primary."""
    testing.namespace.kill(server)


def started_alone(testing: Installation, server: str) -> None:
    """It runs already when it hears of the primary."""
    run(testing, server, START_ALONE)
    run(testing, server, SIGNAL_PATRONI, "CONT")


@pytest.mark.parametrize("comes_back", [killed, started_alone])
def test_who_began_a_timeline_that_another_one_began_too_copies_the_primary_anew(
    testing: Installation, servers: Servers, comes_back: Callable[[Installation, str], None]
) -> None:
    first, lost, successor = servers.first, servers.lost, servers.successor
    run(testing, lost, SIGNAL_PATRONI, "STOP")
    run(testing, lost, LEAD_FOR_A_MOMENT)
    switch = f"patronictl --config-file {PATRONI} switchover --leader {first} --candidate {successor} --force"
    run(testing, first, switch)
    begun = partial(is_on, testing, successor, timeline(testing, lost))
    wait_until(begun, within_s=LEADS_WITHIN_S, every_s=0.5, why="the successor begins no timeline of that number")
    since = datetime.now(UTC)
    comes_back(testing, lost)
    copied = partial(has_given_up, testing, lost, since, "contradicts the primary's log")
    wait_until(copied, within_s=GIVEN_UP_WITHIN_S, every_s=0.5, why="who was lost gives nothing up")


def test_who_lacks_what_the_primary_has_removed_copies_it_anew(testing: Installation, servers: Servers) -> None:
    since = datetime.now(UTC)
    run(testing, servers.lost, SIGNAL_PATRONI, "STOP")
    run(testing, servers.lost, "pg_ctl stop --silent --mode=fast")
    run(testing, servers.first, LEAVE_BEHIND, servers.lost)
    run(testing, servers.lost, SIGNAL_PATRONI, "CONT")
    copied = partial(has_given_up, testing, servers.lost, since, "though the primary answers")
    wait_until(copied, within_s=STILL_WITHIN_S, every_s=0.5, why="who was lost gives nothing up")
