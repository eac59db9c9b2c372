"""A database whose first start is cut off at any moment is made by the next one, with everything that belongs to it."""

from __future__ import annotations

from chart_harness.waiting import wait_until

from ci.engine import Engine
from tests.images.database import ENV, FOLLOWERS, Disks, serving
from tests.images.test_together import POSTGRES, READY_WITHIN_S, running

INITIALISE = "--entrypoint=/usr/local/bin/initialise"


def test_a_database_that_is_cut_off_while_it_is_made_is_none_and_the_next_start_makes_it_whole(
    containers: Engine, disks: Disks
) -> None:
    options = disks.options("new")
    env = {**ENV, "POSTGRES_PASSWORD": "first", **FOLLOWERS}
    making, made = disks.folder("new") / "pgdata.making", disks.folder("new") / "pgdata"
    with running(containers, POSTGRES, options=(*options, INITIALISE), env=env) as first:
        wait_until(making.exists, within_s=READY_WITHIN_S, why="nothing is made")
        containers.run("kill", "--signal=KILL", first)
        wait_until(lambda: not containers.is_running(first), within_s=READY_WITHIN_S, why="it lives on")
    assert making.exists()
    assert not made.exists()
    variables = (f"--env={name}={value}" for name, value in env.items())
    containers.run("run", "--rm", "--read-only", "--tmpfs=/tmp", *options, *variables, INITIALISE, POSTGRES.full_name)
    assert not making.exists()
    with serving(containers, options, "first") as server:
        assert server.lets_follow("replication", FOLLOWERS["REPLICATION_PASSWORD"])
        assert server.sql("select not rolsuper from pg_roles where rolname = 'replication'") == "t"
