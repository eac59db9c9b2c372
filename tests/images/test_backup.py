"""The database is backed up, and brought back to a moment, by what the image has and the chart configures."""

from __future__ import annotations

import pytest

from ci.command import CommandError
from ci.engine import Engine
from tests.images.database import ENV, FOLLOWERS, WRITABLE, Disks, serving
from tests.images.test_together import POSTGRES


def restore(containers: Engine, options: tuple[str, ...], target: str, password: str) -> str:
    env = {**ENV, **FOLLOWERS, "POSTGRES_PASSWORD": password, "RESTORE_TARGET": target}
    variables = (f"--env={name}={value}" for name, value in env.items())
    confined = (
        "--rm",
        "--read-only",
        f"--tmpfs=/tmp:{WRITABLE}",
        "--cap-drop=all",
        "--entrypoint=/usr/local/bin/restore",
    )
    return containers.run("run", *confined, *options, *variables, POSTGRES.full_name)


def test_a_database_comes_back_to_a_moment_and_is_the_newest_once_it_is_the_one_that_counts(
    containers: Engine, disks: Disks
) -> None:
    with serving(containers, disks.options("lost"), "first") as lost:
        lost.sql("create table numbers (number integer)")
        assert "completed successfully" in lost.back_up("diff")
        lost.let_a_second_pass()
        lost.sql("insert into numbers values (1)")
        moment = lost.sql("select now()")
        lost.sql("insert into numbers values (2)")
        lost.archive_everything()

    restore(containers, disks.options("moment", restores=True), moment, "second")
    with serving(containers, disks.options("moment", restores=True), "second") as restored:
        assert restored.sql("select array_agg(number) from numbers") == "{1}"
        restored.sql("insert into numbers values (3)")
        assert restored.sql("show archive_mode") == "off"
    with serving(containers, disks.options("moment"), "second") as counts:
        assert "completed successfully" in counts.back_up("diff")
        counts.sql("insert into numbers values (4)")
        counts.archive_everything()

    restore(containers, disks.options("newest", restores=True), "", "third")
    with serving(containers, disks.options("newest", restores=True), "third") as newest:
        assert newest.sql("select array_agg(number) from numbers") == "{1,3,4}"
        assert newest.lets_follow("replication", FOLLOWERS["REPLICATION_PASSWORD"])
    assert "nothing is restored" in restore(containers, disks.options("newest", restores=True), moment, "third")


@pytest.mark.parametrize(
    ("target", "why"),
    [("2020-01-01 00:00:00+00", "unable to find backup set"), ("2030-01-01 00:00:00+00", "recovery ended before")],
)
def test_a_moment_that_no_backup_leads_to_is_refused_and_leaves_no_database(
    containers: Engine, disks: Disks, target: str, why: str
) -> None:
    with serving(containers, disks.options("lost"), "first") as lost:
        lost.back_up("full")
        lost.archive_everything()
    with pytest.raises(CommandError, match=why):
        restore(containers, disks.options("other", restores=True), target, "second")
    with serving(containers, disks.options("other"), "second") as other:  # made as a new one: nothing was in the way
        assert other.sql("select count(*) from pg_tables where schemaname = 'public'") == "0"


def test_a_backup_that_fails_says_why_and_fails_who_asked_for_it(containers: Engine, disks: Disks) -> None:
    options = disks.options("other", restores=True)  # what is restored cannot write to the repository
    with (
        serving(containers, options, "first") as server,
        pytest.raises(CommandError, match=r"(?s)ERROR.*the backup has failed"),
    ):
        server.back_up("full")
